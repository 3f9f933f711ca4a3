import { VolumeError } from "./errno.js";
import type { NodeEntry, OpenFile, VolumeNode } from "./volume-files.js";

/** Most fids of a machine. In Node, each holds a descriptor of the host's process. */
const MAX_FIDS = 8192;
/** Most entries of directories that are being listed, all together. */
const MAX_LISTED = 500_000;

/** A volume, as its fids know it. */
export interface MountedVolume {
  /** Its place in the list of volumes. */
  readonly number: number;
  readonly readonly: boolean;
  /** Set once a request took too long: all others fail at once. */
  isDead: boolean;
}

/** A node that several fids stand for. The last one closes it. */
export class SharedNode {
  private holders = 1;

  constructor(
    readonly node: VolumeNode,
    readonly volume: MountedVolume | undefined,
  ) {}

  share(): this {
    this.holders++;
    return this;
  }

  release(): void {
    if (--this.holders === 0) this.node.close();
  }
}

/** A fid: the guest's number for a file, which it opens at most once. */
export class Fid {
  file: OpenFile | undefined;
  /** Entries of a directory that is open, once they have been read. */
  entries: NodeEntry[] | undefined;
  isOpen = false;
  mayWrite = false;

  constructor(public shared: SharedNode) {}

  get node(): VolumeNode {
    return this.shared.node;
  }
}

/** The fids of a mount. */
export class FidTable {
  private readonly fids = new Map<number, Fid>();
  private listed = 0;

  /** @throws {VolumeError} EBADF when there is none of the number */
  get(number: number): Fid {
    const fid = this.fids.get(number);
    if (!fid) throw new VolumeError("EBADF");
    return fid;
  }

  /** Adds a fid, and takes over the caller's share of the node. @throws {VolumeError} EBADF, EMFILE */
  add(number: number, shared: SharedNode): void {
    const errno = this.fids.has(number) ? "EBADF" : this.fids.size >= MAX_FIDS ? "EMFILE" : undefined;
    if (errno) {
      shared.release();
      throw new VolumeError(errno);
    }
    this.fids.set(number, new Fid(shared));
  }

  /** Keeps the entries of a directory for the reads that follow. @throws {VolumeError} ENFILE when too many are kept already */
  keepEntries(fid: Fid, entries: NodeEntry[]): void {
    this.dropEntries(fid);
    if (this.listed + entries.length > MAX_LISTED) throw new VolumeError("ENFILE");
    this.listed += entries.length;
    fid.entries = entries;
  }

  /** Ends a fid, and closes its file. */
  remove(number: number): void {
    const fid = this.get(number);
    this.fids.delete(number);
    this.dropEntries(fid);
    fid.shared.release();
    const closed = fid.file?.close();
    if (closed instanceof Promise) closed.catch(() => {});
  }

  /** Ends all fids. */
  clear(): void {
    for (const number of [...this.fids.keys()]) {
      try {
        this.remove(number);
      } catch {
        // The file could not be closed. Nobody is left who could be told.
      }
    }
  }

  private dropEntries(fid: Fid): void {
    this.listed -= fid.entries?.length ?? 0;
    fid.entries = undefined;
  }
}
