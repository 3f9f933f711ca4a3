import { VolumeError } from "./errno.js";
import { type FileInode, MAX_FILE_BYTES, type TreeState } from "./tree-state.js";
import type { OpenFile, OpenFlags } from "./volume-files.js";

/** A file of a tree in memory that is open. */
export class MemoryFile implements OpenFile {
  #closed = false;

  constructor(
    private readonly state: TreeState,
    private readonly inode: FileInode,
    private readonly flags: OpenFlags,
  ) {
    inode.holds++;
  }

  read(into: Uint8Array, at: number): number {
    if (this.#closed || !this.flags.read) throw new VolumeError("EBADF");
    if (this.inode.isAway) throw new VolumeError("EIO");
    return this.inode.contents.read(into, at);
  }

  /** Writes as many of the bytes as there is room for, at least one. */
  write(bytes: Uint8Array, offset: number): number {
    if (this.#closed || !this.flags.write) throw new VolumeError("EBADF");
    if (bytes.byteLength === 0) return 0;
    const { state, inode } = this;
    const at = this.flags.append ? inode.contents.size : offset;
    if (inode.isAway) throw new VolumeError("EIO");
    const permitted = Math.min(bytes.byteLength, MAX_FILE_BYTES - at);
    if (permitted <= 0) throw new VolumeError("EFBIG");
    const fitting = inode.contents.fitting(at, permitted, state.maxBytes - state.takenBytes);
    if (fitting <= 0) throw new VolumeError("ENOSPC");
    const written = bytes.subarray(0, fitting);
    state.apply({ type: "written", inode: inode.inode, at, bytes: written, atMs: state.now() });
    return fitting;
  }

  sync(): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.state.release(this.inode);
  }
}
