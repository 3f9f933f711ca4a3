import { VolumeError } from "./errno.js";
import { type Fid, FidTable, type MountedVolume, SharedNode } from "./fids.js";
import { ForeignChanges } from "./foreign-changes.js";
import { InodeNumbers } from "./inode-numbers.js";
import { after } from "./later.js";
import type { Qid } from "./nine-p-wire.js";
import type { WatchListener } from "./volume-calls.js";
import {
  type FileIdentity,
  type Later,
  MAX_NAME_BYTES,
  type NodeKind,
  type VolumeNode,
} from "./volume-files.js";
import { VolumesRoot } from "./volumes-root.js";
import { WatchedNodes } from "./watched-nodes.js";

const QID_TYPES: Record<NodeKind, number> = { directory: 0x80, link: 0x02, file: 0, other: 0 };

/** A volume to mount. */
export interface OpenedVolume {
  root: VolumeNode;
  /** Device of the root on the host. */
  device: number;
  readonly: boolean;
  /**
   * Watches a file, or a directory with its entries, or all below it, where the volume knows its own changes. Returns a function that ends the watch.
   *
   * @param path path in the volume without links, "" for all of it
   */
  watch?(path: string, recursive: boolean, listener: WatchListener): () => void;
  /** Calls back with the path of whatever others than the guest have changed, where the volume knows that; of what is gone, with that of its directory. */
  watchForeign?(onChange: (path: string) => void): () => void;
}

/** The one mount of a machine: a made-up directory with all volumes in it, and the fids of the guest. */
export class Mount {
  readonly fids = new FidTable();
  /** Directories of all watches. */
  readonly watched = new WatchedNodes();
  /** The made-up directory. */
  readonly root: SharedNode;
  private readonly roots: readonly SharedNode[];
  private readonly inodes: InodeNumbers;
  private foreign: ForeignChanges | undefined;

  constructor(private readonly volumes: readonly OpenedVolume[]) {
    this.inodes = new InodeNumbers(volumes.map(({ device }) => device));
    this.roots = volumes.map(
      ({ root, readonly }, number) => new SharedNode(root, { number, readonly, isDead: false }),
    );
    this.root = new SharedNode(new VolumesRoot(volumes.map(({ root }) => root)), undefined);
  }

  /** Ends all fids and closes the volumes. */
  close(): void {
    this.foreign?.close();
    this.fids.clear();
    this.root.release();
    for (const root of this.roots) root.release();
  }

  /** Returns a fid, to look at. @throws {VolumeError} EBADF; EIO when its volume is dead */
  fid(number: number): Fid {
    const fid = this.fids.get(number);
    if (fid.shared.volume?.isDead) throw new VolumeError("EIO");
    return fid;
  }

  /** Returns a fid, to change what it stands for. @throws {VolumeError} EBADF, EIO; EROFS when its volume is read-only */
  writable(number: number): Fid {
    const fid = this.fid(number);
    this.requireWritable(fid.shared.volume);
    return fid;
  }

  /** Checks that a volume may be changed. Undefined stands for the made-up directory, which may not. @throws {VolumeError} EROFS */
  requireWritable(volume: MountedVolume | undefined): void {
    if (!volume || volume.readonly) throw new VolumeError("EROFS");
  }

  /** Returns the watch of a volume that knows its own changes. */
  watchOf(volume: MountedVolume | undefined): OpenedVolume["watch"] {
    const opened = volume && this.volumes[volume.number];
    return opened?.watch?.bind(opened);
  }

  /** Returns the changes of others than the guest, from the first call on. */
  watchForeign(): ForeignChanges {
    this.foreign ??= new ForeignChanges(
      this.volumes.map(({ watchForeign }, number) => {
        return { root: this.roots[number]!, ...(watchForeign && { watchForeign }) };
      }),
      this.watched,
    );
    return this.foreign;
  }

  /** Notes that the guest has changed a file, or an entry of a directory. */
  noteOwn({ node, volume }: SharedNode, name?: string): void {
    if (volume) this.foreign?.noteOwn(volume.number, node, name);
  }

  /** Takes over a node of a volume. */
  adopt(node: VolumeNode, volume: MountedVolume | undefined): SharedNode {
    return new SharedNode(node, volume);
  }

  /** Returns the volume of a fid, if there is the fid and it is in one. */
  volumeOf(number: number): MountedVolume | undefined {
    try {
      return this.fids.get(number).shared.volume;
    } catch {
      return undefined;
    }
  }

  /** Finds an entry of a directory. The result is the caller's to release. */
  find({ node, volume }: SharedNode, name: string): Later<SharedNode> {
    requireName(name);
    if (!volume) {
      const root = this.roots[Number(name)];
      if (!root || String(Number(name)) !== name) throw new VolumeError("ENOENT");
      return root.share();
    }
    requireKind(node, "directory");
    return after(node.find(name), (found) => new SharedNode(found, volume));
  }

  qidOf(volume: MountedVolume | undefined, { kind, device, inode }: FileIdentity): Qid {
    const path = volume ? this.inodes.of(volume.number, device, inode) : inode;
    return { type: QID_TYPES[kind], path };
  }

  qid({ node, volume }: SharedNode): Later<Qid> {
    return after(node.identity ?? node.stat(), (identity) => this.qidOf(volume, identity));
  }
}

/** Checks a name that the guest has sent. @throws {VolumeError} EINVAL, ENAMETOOLONG */
export function requireName(name: string): string {
  if (name.length > MAX_NAME_BYTES) throw new VolumeError("ENAMETOOLONG");
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) throw new VolumeError("EINVAL");
  return name;
}

/** Checks what a node is. @throws {VolumeError} ENOTDIR, EISDIR, EINVAL */
export function requireKind({ kind }: VolumeNode, wanted: NodeKind): void {
  if (kind === wanted) return;
  throw new VolumeError(wanted === "directory" ? "ENOTDIR" : kind === "directory" ? "EISDIR" : "EINVAL");
}
