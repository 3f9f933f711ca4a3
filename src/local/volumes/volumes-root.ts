import { VolumeError } from "./errno.js";
import { after } from "./later.js";
import type { Later, NodeEntry, NodeStat, VolumeNode, VolumeSpace } from "./volume-files.js";

const refuse = (): never => {
  throw new VolumeError("EROFS");
};

/**
 * The made-up directory that is mounted, with a directory "0", "1", … for each volume. The agent binds each to its place in the box, after which nobody sees this one.
 */
export class VolumesRoot implements VolumeNode {
  readonly kind = "directory";
  readonly open = refuse;
  readonly create = refuse;
  readonly makeDirectory = refuse;
  readonly makeLink = refuse;
  readonly addName = refuse;
  readonly target = refuse;
  readonly change = refuse;
  readonly rename = refuse;
  readonly remove = refuse;

  constructor(private readonly roots: readonly VolumeNode[]) {}

  stat(): NodeStat {
    return {
      kind: "directory",
      mode: 0o555,
      uid: 0,
      gid: 0,
      links: 2 + this.roots.length,
      size: 0,
      blocks: 0,
      atimeMs: 0,
      mtimeMs: 0,
      ctimeMs: 0,
      device: 0,
      // No file of a host has it.
      inode: 0,
    };
  }

  /** Volumes are found by the mount, which knows more of them than their roots. */
  find(): never {
    throw new VolumeError("ENOENT");
  }

  list(): NodeEntry[] {
    return this.roots.map((_, number) => ({ name: String(number), kind: "directory", device: 0, inode: 0 }));
  }

  sync(): void {}

  /** Returns the room in the first volume. */
  space(): Later<VolumeSpace> {
    const none = { blockBytes: 4096, blocks: 0, freeBlocks: 0, files: 0, freeFiles: 0 };
    return this.roots[0] ? after(this.roots[0].space(), (space) => space) : none;
  }

  close(): void {}
}
