import { VolumeError } from "./errno.js";
import type { VolumeNode } from "./volume-files.js";

/** New directories after which it is asked again whether there is room. */
const ASK_AFTER = 64;

/** A directory that a watch holds. */
interface HeldNode {
  node: VolumeNode;
  /** Gives it up. */
  release(): void;
}

/** The directories that the watches of a machine hold, each once for all of them: in Node, each is a descriptor. */
export class WatchedNodes {
  private readonly held = new Map<string, { node: VolumeNode; holders: number }>();
  private unasked = 0;

  /** Takes over a directory: it is closed when its last holder gives it up, or at once if it is held already. @throws {VolumeError} EMFILE when there is no room for another one */
  hold(node: VolumeNode): HeldNode {
    const { device, inode } = node.identity ?? {};
    const key = inode === undefined ? undefined : `${device}:${inode}`;
    const known = key === undefined ? undefined : this.held.get(key);
    if (known) node.close();
    else this.requireRoom(node);
    const entry = known ?? { node, holders: 0 };
    entry.holders++;
    if (key !== undefined) this.held.set(key, entry);
    const release = () => {
      if (--entry.holders > 0) return;
      if (key !== undefined) this.held.delete(key);
      entry.node.close();
    };
    return { node: entry.node, release };
  }

  private requireRoom(node: VolumeNode): void {
    if (this.unasked-- > 0) return;
    if (node.hasRoom?.() === false) {
      this.unasked = 0;
      node.close();
      throw new VolumeError("EMFILE");
    }
    this.unasked = ASK_AFTER - 1;
  }
}
