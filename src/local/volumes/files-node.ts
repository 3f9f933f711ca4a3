import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  type Stats,
  statfsSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  watch,
  writeSync,
} from "node:fs";
import { latin1 } from "../../util/byte-reader.js";
import { currentRuntime } from "../../util/runtime.js";
import { hasDescriptorsLeft } from "./descriptor-room-node.js";
import { VolumeError } from "./errno.js";
import {
  type FileIdentity,
  type NodeChanges,
  type NodeEntry,
  type NodeKind,
  type NodeStat,
  type OpenFile,
  type OpenFlags,
  SETTABLE_MODE,
  type VolumeNode,
  type VolumeSpace,
} from "./volume-files.js";

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW } = constants;
const { O_NONBLOCK, O_NOCTTY } = constants;
/** Flag of open(2): a descriptor that only names a file (asm-generic/fcntl.h). Node has no constant for it. */
const O_PATH = 0o10000000;
/** Owner that is shown for what does not belong to the user of this process: "nobody". */
const NOBODY = 65534;

/**
 * A file, directory or link of the host, by a descriptor that names it (O_PATH). Nothing is ever opened by a path of more than one component: an entry is opened as
 * /proc/self/fd/N/NAME without following links, which is openat(2). So no link, and nobody who swaps directories meanwhile, leads out of the volume.
 */
export class FileNode implements VolumeNode {
  readonly kind: NodeKind;
  readonly identity: FileIdentity;

  private constructor(
    private readonly fd: number,
    private readonly status: Stats,
    /** The target of a link. */
    private readonly linkTarget: string | undefined,
    private readonly root: FileNode | undefined,
  ) {
    this.kind = kindOf(status);
    this.identity = { kind: this.kind, device: status.dev, inode: status.ino };
  }

  /** Opens the directory that is to be a volume. Links in its path are followed. */
  static openRoot(path: string): FileNode {
    const fd = openSync(path, O_PATH | O_DIRECTORY);
    return new FileNode(fd, fstatSync(fd), undefined, undefined);
  }

  /** Absolute path of the file at this moment, without links. */
  get realPath(): string {
    return latin1(readlinkSync(this.path, { encoding: "buffer" }));
  }

  stat(): NodeStat {
    const status = fstatSync(this.fd);
    if (this.isRemoved(status)) throw new VolumeError("ESTALE");
    return statOf(status);
  }

  find(name: string): FileNode {
    return this.adopt(openSync(this.entry(name), O_PATH | O_NOFOLLOW), name);
  }

  list(): NodeEntry[] {
    const entries: NodeEntry[] = [];
    for (const bytes of readdirSync(`${this.path}/`, { encoding: "buffer" })) {
      const name = latin1(bytes);
      try {
        const status = lstatSync(this.entry(name));
        entries.push({ name, kind: kindOf(status), device: status.dev, inode: status.ino });
      } catch {
        // It was removed meanwhile.
      }
    }
    return entries;
  }

  open({ read, write, truncate, append }: OpenFlags): HostFile {
    // A FIFO or device is never opened: that may wait, and do things.
    if (this.kind !== "file") throw new VolumeError(this.kind === "directory" ? "EISDIR" : "EPERM");
    const access = read && write ? O_RDWR : write ? O_WRONLY : O_RDONLY;
    const flags = access | (truncate ? O_TRUNC : 0) | (append ? O_APPEND : 0) | O_NONBLOCK | O_NOCTTY;
    return new HostFile(openSync(this.path, flags));
  }

  create(
    name: string,
    flags: OpenFlags & { exclusive: boolean },
    mode: number,
  ): { node: FileNode; file: HostFile } {
    const access = flags.read ? O_RDWR : O_WRONLY;
    const created = access | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    let fd: number;
    try {
      fd = openSync(this.entry(name), created | (flags.append ? O_APPEND : 0), mode & SETTABLE_MODE);
    } catch (error) {
      if (flags.exclusive || (error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const node = this.find(name);
      try {
        return { node, file: node.open(flags) };
      } catch (failure) {
        node.close();
        throw failure;
      }
    }
    const file = new HostFile(fd);
    try {
      unmask(mode, () => fchmodSync(fd, mode & SETTABLE_MODE));
      return { node: this.adopt(openSync(`/proc/self/fd/${fd}`, O_PATH), name), file };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  makeDirectory(name: string, mode: number): FileNode {
    mkdirSync(this.entry(name), mode & SETTABLE_MODE);
    const node = this.find(name);
    try {
      if (node.kind === "directory") unmask(mode, () => chmodSync(node.path, mode & SETTABLE_MODE));
      return node;
    } catch (error) {
      node.close();
      throw error;
    }
  }

  makeLink(name: string, target: string): FileNode {
    symlinkSync(Buffer.from(target, "latin1"), this.entry(name));
    return this.find(name);
  }

  addName(node: VolumeNode, name: string): void {
    if (!(node instanceof FileNode)) throw new VolumeError("EXDEV");
    // link(2) needs a directory and a name for the old file, too. Its path is walked again from the root, so that a link in it leads nowhere.
    const parent = node.findParent();
    try {
      linkSync(parent.directory.entry(parent.name), this.entry(name));
    } finally {
      parent.directory.close();
    }
    const { ino, dev } = lstatSync(this.entry(name));
    if (ino === node.status.ino && dev === node.status.dev) return;
    // Somebody has put another file in its place meanwhile.
    unlinkSync(this.entry(name));
    throw new VolumeError("ENOENT");
  }

  target(): string {
    if (this.linkTarget === undefined) throw new VolumeError("EINVAL");
    return this.linkTarget;
  }

  change({ mode, size, atimeMs, mtimeMs }: NodeChanges): void {
    // Linux has no call that changes a link by such a descriptor. Its mode means nothing, and its times stay.
    if (this.kind === "link") return;
    if (this.kind === "other") throw new VolumeError("EPERM");
    if (size !== undefined) truncateSync(this.path, size);
    if (mode !== undefined) chmodSync(this.path, mode & SETTABLE_MODE);
    if (atimeMs === undefined && mtimeMs === undefined) return;
    const now = fstatSync(this.fd);
    utimesSync(this.path, timeOf(atimeMs ?? now.atimeMs), timeOf(mtimeMs ?? now.mtimeMs));
  }

  rename(name: string, to: VolumeNode, newName: string): void {
    if (!(to instanceof FileNode)) throw new VolumeError("EXDEV");
    renameSync(this.entry(name), to.entry(newName));
  }

  remove(name: string, kind: "directory" | "file"): void {
    if (kind === "directory") rmdirSync(this.entry(name));
    else unlinkSync(this.entry(name));
  }

  sync(): void {
    const fd = openSync(this.path, O_RDONLY | O_DIRECTORY);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Deno watches the path that a descriptor has when the watch begins. */
  get watchesPath(): boolean {
    return currentRuntime() === "deno";
  }

  watch(onChange: (name: string) => void): () => void {
    const watcher = watch(this.path, { persistent: false, encoding: "buffer" }, (_event, name) =>
      onChange(name === null || this.isOwnName(name) ? "." : latin1(name)),
    );
    // A directory that is gone is noticed by whoever looks at it.
    watcher.on("error", () => {});
    const stopAbove = this.root ? undefined : this.watchAbove(onChange);
    return () => {
      watcher.close();
      stopAbove?.();
    };
  }

  hasRoom(): boolean {
    return hasDescriptorsLeft();
  }

  space(): VolumeSpace {
    const { bsize, blocks, bavail, files, ffree } = statfsSync(this.path);
    return { blockBytes: bsize, blocks, freeBlocks: bavail, files, freeFiles: ffree };
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Returns true for the directory of a volume when it was removed. */
  private isRemoved({ nlink }: Stats): boolean {
    return this.root === undefined && nlink === 0;
  }

  /** Calls back once this directory is removed. Linux tells of that in the one above it alone, because this one is held open. */
  private watchAbove(onChange: (name: string) => void): (() => void) | undefined {
    try {
      const watcher = watch(`${this.path}/..`, { persistent: false }, (event) => {
        if (event === "rename" && this.isRemoved(fstatSync(this.fd))) onChange(".");
      });
      watcher.on("error", () => {});
      return () => watcher.close();
    } catch {
      // That one cannot be read.
      return undefined;
    }
  }

  /** Returns true for the name of an event that stands for this directory itself: the last one of its path. */
  private isOwnName(name: Buffer): boolean {
    if (latin1(name) !== String(this.fd)) return false;
    try {
      lstatSync(this.entry(latin1(name)));
      return false;
    } catch {
      return true;
    }
  }

  /** Path that names this file to the kernel, whatever its name is now. */
  private get path(): string {
    return `/proc/self/fd/${this.fd}`;
  }

  /** Path of an entry of this directory. */
  private entry(name: string): Buffer {
    return Buffer.from(`${this.path}/${name}`, "latin1");
  }

  /** Makes a node of a descriptor, which is closed if that fails. */
  private adopt(fd: number, name: string): FileNode {
    try {
      const status = fstatSync(fd);
      const target = status.isSymbolicLink() ? this.readLink(name) : undefined;
      return new FileNode(fd, status, target, this.root ?? this);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  private readLink(name: string): string {
    try {
      return latin1(readlinkSync(this.entry(name), { encoding: "buffer" }));
    } catch (error) {
      // Something else has come into its place meanwhile.
      if ((error as NodeJS.ErrnoException).code === "EINVAL") throw new VolumeError("ENOENT");
      throw error;
    }
  }

  /** Finds the directory that this file is in, and its name there. @throws {VolumeError} ENOENT when it is in none, or not in the volume */
  private findParent(): { directory: FileNode; name: string } {
    const { root } = this;
    const base = root ? `${root.realPath}/` : "";
    const path = this.realPath;
    if (!root || !path.startsWith(base)) throw new VolumeError("ENOENT");
    const names = path.slice(base.length).split("/");
    const name = names.pop() as string;
    let directory = new FileNode(
      openSync(root.path, O_PATH | O_DIRECTORY),
      root.status,
      undefined,
      undefined,
    );
    for (const step of names) {
      try {
        const next = directory.find(step);
        directory.close();
        directory = next;
      } catch (error) {
        directory.close();
        throw error;
      }
    }
    return { directory, name };
  }
}

/** An open file of the host. */
export class HostFile implements OpenFile {
  constructor(private readonly fd: number) {}

  read(into: Uint8Array, at: number): number {
    return readSync(this.fd, into, 0, into.byteLength, at);
  }

  write(bytes: Uint8Array, at: number): number {
    return writeSync(this.fd, bytes, 0, bytes.byteLength, at);
  }

  sync(data: boolean): void {
    if (data) fdatasyncSync(this.fd);
    else fsyncSync(this.fd);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Sets a mode again that the umask of this process has taken bits of. The guest's own umask has been applied. */
function unmask(mode: number, set: () => void): void {
  if (mode & process.umask()) set();
}

/** Returns a time for utimes(). Node takes a negative number for now. */
function timeOf(ms: number): number | Date {
  return ms < 0 ? new Date(ms) : ms / 1000;
}

function kindOf(status: Stats): NodeKind {
  if (status.isFile()) return "file";
  if (status.isDirectory()) return "directory";
  return status.isSymbolicLink() ? "link" : "other";
}

function statOf(status: Stats): NodeStat {
  const isOurs = status.uid === process.getuid?.();
  const owner = isOurs ? 0 : NOBODY;
  return {
    kind: kindOf(status),
    mode: status.mode & 0o7777,
    uid: owner,
    gid: owner,
    links: status.nlink,
    size: status.size,
    blocks: status.blocks,
    atimeMs: status.atimeMs,
    mtimeMs: status.mtimeMs,
    ctimeMs: status.ctimeMs,
    device: status.dev,
    inode: status.ino,
  };
}
