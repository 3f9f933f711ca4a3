import { VolumeError } from "./errno.js";
import { MemoryFile } from "./memory-file.js";
import type { TreeChange } from "./tree-changes.js";
import {
  type DirectoryInode,
  type FileInode,
  type Inode,
  isWithin,
  MAX_FILE_BYTES,
  type TreeState,
} from "./tree-state.js";
import {
  MAX_NAME_BYTES,
  MAX_TARGET_BYTES,
  type NodeChanges,
  type NodeEntry,
  type NodeStat,
  type OpenFile,
  type OpenFlags,
  SETTABLE_MODE,
  type VolumeNode,
  type VolumeSpace,
} from "./volume-files.js";

const MAX_LINKS = 65_000;
const BLOCK_BYTES = 4096;

/** A file, directory or link of a tree in memory. */
export class MemoryNode implements VolumeNode {
  readonly kind: Inode["kind"];
  readonly #state: TreeState;
  readonly #held: Inode;
  #closed = false;

  constructor(state: TreeState, inode: Inode) {
    this.#state = state;
    this.#held = inode;
    this.kind = inode.kind;
    inode.holds++;
  }

  stat(): NodeStat {
    const { inode, kind, mode, links, mtimeMs, ctimeMs } = this.#inode();
    const [size, takenBytes] = this.#sizes();
    const blocks = Math.ceil(takenBytes / 512);
    const owner = { uid: 0, gid: 0 };
    const times = { atimeMs: mtimeMs, mtimeMs, ctimeMs };
    return { kind, mode, ...owner, links, size, blocks, ...times, device: 0, inode };
  }

  find(name: string): MemoryNode {
    return this.#nodeOf(this.#entry(name));
  }

  list(): NodeEntry[] {
    const entries = [...this.#directory().entries];
    return entries.map(([name, { kind, inode }]) => ({ name, kind, device: 0, inode }));
  }

  open(flags: OpenFlags): OpenFile {
    const inode = this.#file();
    if (flags.truncate)
      this.#apply({ type: "resized", inode: inode.inode, size: 0, atMs: this.#state.now() });
    return new MemoryFile(this.#state, inode, flags);
  }

  create(
    name: string,
    flags: OpenFlags & { exclusive: boolean },
    mode: number,
  ): { node: MemoryNode; file: OpenFile } {
    const existing = this.#entryIfAny(name);
    if (existing && flags.exclusive) throw new VolumeError("EEXIST");
    const node = existing ? this.#nodeOf(existing) : this.#make(name, "file", mode);
    try {
      return { node, file: node.open(existing ? flags : { ...flags, truncate: false }) };
    } catch (error) {
      node.close();
      throw error;
    }
  }

  /**
   * Replaces the contents of this file.
   *
   * @throws {VolumeError} EISDIR, ELOOP; ENOSPC or EFBIG when they have no room, and the file stays as it is
   */
  replace(bytes: Uint8Array): void {
    const { inode, contents } = this.#file();
    const { maxBytes, takenBytes } = this.#state;
    if (bytes.byteLength > MAX_FILE_BYTES) throw new VolumeError("EFBIG");
    if (bytes.byteLength - contents.takenBytes > maxBytes - takenBytes) throw new VolumeError("ENOSPC");
    const [size, atMs] = [bytes.byteLength, this.#state.now()];
    if (size === 0 || size < contents.size) this.#apply({ type: "resized", inode, size, atMs });
    if (size > 0) this.#apply({ type: "written", inode, at: 0, bytes, atMs });
  }

  makeDirectory(name: string, mode: number): MemoryNode {
    return this.#make(name, "directory", mode);
  }

  makeLink(name: string, target: string): MemoryNode {
    if (target === "") throw new VolumeError("ENOENT");
    if (target.length > MAX_TARGET_BYTES) throw new VolumeError("ENAMETOOLONG");
    return this.#make(name, "link", 0o777, target);
  }

  addName(node: VolumeNode, name: string): void {
    const directory = this.#directoryFor(name);
    if (!this.#isNeighbour(node)) throw new VolumeError("EXDEV");
    const { kind, links, inode } = node.#inode();
    if (kind === "directory") throw new VolumeError("EPERM");
    if (links === 0) throw new VolumeError("ENOENT");
    if (links >= MAX_LINKS) throw new VolumeError("EMLINK");
    this.#checkRoom(0);
    this.#apply({ type: "linked", inode, parent: directory.inode, name, atMs: this.#state.now() });
  }

  target(): string {
    const inode = this.#inode();
    if (inode.kind !== "link") throw new VolumeError("EINVAL");
    return inode.target;
  }

  change({ mode, size, mtimeMs }: NodeChanges): void {
    const { kind, inode } = this.#inode();
    if (mode !== undefined && kind === "link") throw new VolumeError("EOPNOTSUPP");
    if (size !== undefined) this.#checkSize(size);
    const atMs = this.#state.now();
    if (size !== undefined && size !== this.#file().contents.size)
      this.#apply({ type: "resized", inode, size, atMs });
    this.#apply({
      type: "changed",
      inode,
      ...(mode !== undefined && { mode: mode & SETTABLE_MODE }),
      ...(mtimeMs !== undefined && { mtimeMs }),
      atMs,
    });
  }

  rename(name: string, to: VolumeNode, newName: string): void {
    const from = this.#directory();
    if (!this.#isNeighbour(to)) throw new VolumeError("EXDEV");
    const target = to.#directory();
    const moved = this.#entry(name);
    const replaced = to.#entryIfAny(newName);
    if (target.links === 0) throw new VolumeError("ENOENT");
    if (isWithin(target, moved)) throw new VolumeError("EINVAL");
    if (replaced && isWithin(from, replaced)) throw new VolumeError("ENOTEMPTY");
    if (moved === replaced) return;
    if (replaced) checkReplaceable(replaced, moved);
    this.#apply({
      type: "renamed",
      inode: moved.inode,
      parent: from.inode,
      name,
      newParent: target.inode,
      newName,
      atMs: this.#state.now(),
    });
  }

  remove(name: string, kind: "directory" | "file"): void {
    const entry = this.#entry(name);
    if (kind === "file" && entry.kind === "directory") throw new VolumeError("EISDIR");
    if (kind === "directory") checkEmptyDirectory(entry);
    const { inode } = entry;
    this.#apply({ type: "removed", inode, parent: this.#held.inode, name, atMs: this.#state.now() });
  }

  sync(): void {}

  space(): VolumeSpace {
    const { maxBytes, maxFiles, takenBytes, files } = this.#state;
    return {
      blockBytes: BLOCK_BYTES,
      blocks: Math.floor(maxBytes / BLOCK_BYTES),
      freeBlocks: Math.max(0, Math.floor((maxBytes - takenBytes) / BLOCK_BYTES)),
      files: maxFiles,
      freeFiles: Math.max(0, maxFiles - files),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#state.release(this.#held);
  }

  #make(name: string, kind: Inode["kind"], mode: number, target?: string): MemoryNode {
    const directory = this.#directoryFor(name);
    this.#checkRoom(target?.length ?? 0);
    this.#apply({
      type: "made",
      inode: this.#state.nextInode,
      kind,
      mode: mode & SETTABLE_MODE,
      ...(target !== undefined && { target }),
      parent: directory.inode,
      name,
      atMs: this.#state.now(),
    });
    return this.#nodeOf(directory.entries.get(name)!);
  }

  #apply(change: TreeChange): void {
    this.#state.apply(change);
  }

  #nodeOf(inode: Inode): MemoryNode {
    return new MemoryNode(this.#state, inode);
  }

  #isNeighbour(node: VolumeNode): node is MemoryNode {
    return node instanceof MemoryNode && node.#state === this.#state;
  }

  #inode(): Inode {
    if (this.#closed) throw new VolumeError("EBADF");
    return this.#held;
  }

  #file(): FileInode {
    const inode = this.#inode();
    if (inode.kind === "directory") throw new VolumeError("EISDIR");
    if (inode.kind === "link") throw new VolumeError("ELOOP");
    return inode;
  }

  #directory(): DirectoryInode {
    const inode = this.#inode();
    if (inode.kind !== "directory") throw new VolumeError("ENOTDIR");
    return inode;
  }

  /** Returns this directory when it can get an entry of the name. */
  #directoryFor(name: string): DirectoryInode {
    if (this.#entryIfAny(name)) throw new VolumeError("EEXIST");
    const directory = this.#directory();
    if (directory.links === 0) throw new VolumeError("ENOENT");
    return directory;
  }

  #entryIfAny(name: string): Inode | undefined {
    const { entries, links } = this.#directory();
    if (links === 0) return undefined;
    if (name.length > MAX_NAME_BYTES) throw new VolumeError("ENAMETOOLONG");
    return entries.get(name);
  }

  #entry(name: string): Inode {
    const entry = this.#entryIfAny(name);
    if (!entry) throw new VolumeError("ENOENT");
    return entry;
  }

  #checkRoom(bytes: number): void {
    const { maxBytes, maxFiles, takenBytes, files } = this.#state;
    if (files >= maxFiles || bytes > maxBytes - takenBytes) throw new VolumeError("ENOSPC");
  }

  #checkSize(size: number): void {
    const { kind } = this.#inode();
    if (kind === "directory") throw new VolumeError("EISDIR");
    if (kind === "link" || !Number.isInteger(size) || size < 0) throw new VolumeError("EINVAL");
    if (size > MAX_FILE_BYTES) throw new VolumeError("EFBIG");
  }

  /** Returns size and taken bytes. */
  #sizes(): [number, number] {
    const inode = this.#inode();
    if (inode.kind === "file") return [inode.contents.size, inode.contents.takenBytes];
    return [inode.kind === "link" ? inode.target.length : BLOCK_BYTES, 0];
  }
}

function checkEmptyDirectory(inode: Inode): void {
  if (inode.kind !== "directory") throw new VolumeError("ENOTDIR");
  if (inode.entries.size > 0) throw new VolumeError("ENOTEMPTY");
}

function checkReplaceable(replaced: Inode, moved: Inode): void {
  if (moved.kind === "directory") checkEmptyDirectory(replaced);
  else if (replaced.kind === "directory") throw new VolumeError("EISDIR");
}
