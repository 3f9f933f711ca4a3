import { VolumeError } from "./errno.js";
import { FileContents } from "./file-contents.js";
import type {
  FileAway,
  FileLoaded,
  FileResized,
  FileWritten,
  NodeChanged,
  NodeMade,
  NodeRenamed,
  TreeChange,
} from "./tree-changes.js";

interface AnyInode {
  readonly inode: number;
  mode: number;
  links: number;
  mtimeMs: number;
  ctimeMs: number;
  /** Number of nodes and open files that stand for it. It lives while there is one, or it has a name. */
  holds: number;
}

export interface FileInode extends AnyInode {
  readonly kind: "file";
  readonly contents: FileContents;
  /** Whether the contents are in a store below the tree: the size is right, and nothing can be read or written here. */
  isAway: boolean;
}

export interface DirectoryInode extends AnyInode {
  readonly kind: "directory";
  readonly entries: Map<string, Inode>;
  parent: DirectoryInode | undefined;
}

export interface LinkInode extends AnyInode {
  readonly kind: "link";
  readonly target: string;
}

export type Inode = FileInode | DirectoryInode | LinkInode;

/** Largest size of a file in bytes: 2 GiB - 1. */
export const MAX_FILE_BYTES = 2 ** 31 - 1;

const ROOT_INODE = 1;

/** Limits of a tree, and its clock. */
export interface TreeLimits {
  /** Bytes that all contents may take. Holes take none. */
  maxBytes: number;
  /** Number of names that the tree may have, directories and the root included. */
  maxFiles: number;
  /** Returns the time in milliseconds since 1970. */
  now: () => number;
}

/** One who is told of all that happens to a tree. It must not change the tree. */
export interface TreeFollower {
  /** Called after each change. `isNamed` is false for a change of a file that has no name any more, except the one that took it. */
  onChange(change: TreeChange, isNamed: boolean): void;
  /** Called when a file, directory or link has lost its last name, and before it is gone, if nobody holds it. */
  onUnnamed?(inode: Inode): void;
}

/** The files of a tree. It makes any change that fits what there is; whether the change is permitted and has room is for the caller to see. */
export class TreeState {
  readonly root: DirectoryInode;
  readonly maxBytes: number;
  readonly maxFiles: number;
  /** Returns the time in milliseconds since 1970. */
  readonly now: () => number;
  readonly followers = new Set<TreeFollower>();
  /** Called with the number of each file, directory or link that is gone: it has neither a name nor a hold. */
  onForgotten: (inode: number) => void = () => {};
  /** Inode number of the next file. */
  nextInode = ROOT_INODE + 1;
  /** Bytes that contents and targets take, and those that are reserved for contents. */
  takenBytes = 0;
  /** Number of names, and of files without one that somebody has open. */
  files = 1;
  readonly #inodes = new Map<number, Inode>();

  constructor({ maxBytes, maxFiles, now }: TreeLimits) {
    this.maxBytes = maxBytes;
    this.maxFiles = maxFiles;
    this.now = now;
    const atMs = now();
    const times = { mtimeMs: atMs, ctimeMs: atMs };
    const root = { inode: ROOT_INODE, mode: 0o755, links: 2, holds: 0, ...times };
    this.root = { ...root, kind: "directory", entries: new Map(), parent: undefined };
    this.#inodes.set(ROOT_INODE, this.root);
  }

  /**
   * Makes a change and reports it.
   *
   * @throws {VolumeError} ESTALE when it does not fit what there is, ENOSPC when the host has no memory; nothing is changed then
   */
  apply(change: TreeChange): void {
    const reported = this.followers.size > 0;
    const isNamed = reported && this.#isNamed(change);
    this.#make(change);
    if (!reported) return;
    // What was written may be part of a buffer that its owner uses again.
    const kept = change.type === "written" ? { ...change, bytes: new Uint8Array(change.bytes) } : change;
    for (const follower of this.followers) follower.onChange(kept, isNamed);
  }

  /** Gives up a hold. A file that has no name is gone with its last one. */
  release(inode: Inode): void {
    inode.holds--;
    this.#forgetUnused(inode);
  }

  #isNamed(change: TreeChange): boolean {
    return change.type === "made" || this.find(change.inode).links > 0;
  }

  #make(change: TreeChange): void {
    if (change.type === "loaded") return this.#load(change);
    const { atMs } = change;
    switch (change.type) {
      case "made":
        return this.#makeInode(change);
      case "linked": {
        const inode = this.find(change.inode);
        this.#addName(this.#directory(change.parent), change.name, inode, atMs);
        inode.links++;
        inode.ctimeMs = atMs;
        return;
      }
      case "removed":
        return this.#removeName(this.#directory(change.parent), change.name, change.inode, atMs);
      case "renamed":
        return this.#rename(change);
      case "written":
        return this.#write(change);
      case "resized":
        return this.#setContents(change, (contents) => contents.resize(change.size));
      case "away":
        return this.#putAway(change);
      case "changed":
        return this.#change(change);
    }
  }

  #makeInode({ inode: number, kind, mode, target = "", parent, name, atMs }: NodeMade): void {
    if (this.#inodes.has(number)) throw new VolumeError("ESTALE");
    const directory = this.#directory(parent);
    const facts = { inode: number, mode, links: 1, mtimeMs: atMs, ctimeMs: atMs, holds: 0 };
    const inode: Inode =
      kind === "file"
        ? { ...facts, kind, contents: new FileContents(), isAway: false }
        : kind === "link"
          ? { ...facts, kind, target }
          : { ...facts, kind, links: 2, entries: new Map(), parent: directory };
    this.#addName(directory, name, inode, atMs);
    this.#inodes.set(number, inode);
    this.nextInode = number + 1;
    this.takenBytes += target.length;
    if (kind === "directory") directory.links++;
  }

  #rename({ inode, parent, name, newParent, newName, atMs }: NodeRenamed): void {
    const from = this.#directory(parent);
    const to = this.#directory(newParent);
    const moved = this.#entry(from, name, inode);
    const replaced = to.entries.get(newName);
    if (isWithin(to, moved) || replaced === moved) throw new VolumeError("ESTALE");
    if (replaced) this.#removeName(to, newName, replaced.inode, atMs);
    from.entries.delete(name);
    to.entries.set(newName, moved);
    if (moved.kind === "directory") {
      moved.parent = to;
      from.links--;
      to.links++;
    }
    for (const directory of [from, to]) touch(directory, atMs);
    moved.ctimeMs = atMs;
  }

  #write(change: FileWritten): void {
    this.#setContents(change, (contents) => contents.write(change.bytes, change.at));
  }

  #setContents(change: FileWritten | FileResized, set: (contents: FileContents) => void): void {
    const inode = this.#file(change.inode);
    // What is emptied does not need what it had.
    if (inode.isAway && !(change.type === "resized" && change.size === 0)) throw new VolumeError("ESTALE");
    inode.isAway = false;
    this.#fill(inode, set);
    touch(inode, change.atMs);
  }

  #putAway({ inode: number, size, mtimeMs, atMs, isSame }: FileAway): void {
    const inode = this.#file(number);
    this.#fill(inode, (contents) => {
      contents.resize(0);
      contents.resize(size);
    });
    inode.isAway = size > 0;
    if (isSame) return;
    inode.mtimeMs = mtimeMs;
    inode.ctimeMs = atMs;
  }

  #load({ inode: number, at, bytes, isLast }: FileLoaded): void {
    const inode = this.#file(number);
    if (!inode.isAway) throw new VolumeError("ESTALE");
    this.#fill(inode, (contents) => contents.write(bytes, at));
    inode.isAway = !isLast;
  }

  /** Changes contents, and counts what they take. */
  #fill({ contents }: FileInode, set: (contents: FileContents) => void): void {
    const before = contents.takenBytes;
    set(contents);
    this.takenBytes += contents.takenBytes - before;
  }

  #change({ inode: number, mode, mtimeMs, atMs }: NodeChanged): void {
    const inode = this.find(number);
    inode.mode = mode ?? inode.mode;
    inode.mtimeMs = mtimeMs ?? inode.mtimeMs;
    inode.ctimeMs = atMs;
  }

  #addName(directory: DirectoryInode, name: string, inode: Inode, atMs: number): void {
    if (directory.entries.has(name)) throw new VolumeError("ESTALE");
    directory.entries.set(name, inode);
    touch(directory, atMs);
    this.files++;
  }

  #removeName(directory: DirectoryInode, name: string, number: number, atMs: number): void {
    const inode = this.#entry(directory, name, number);
    if (inode.kind === "directory" && inode.entries.size > 0) throw new VolumeError("ESTALE");
    directory.entries.delete(name);
    touch(directory, atMs);
    inode.ctimeMs = atMs;
    if (inode.kind === "directory") {
      inode.links = 0;
      directory.links--;
    } else inode.links--;
    if (inode.links > 0) {
      this.files--;
      return;
    }
    for (const follower of this.followers) follower.onUnnamed?.(inode);
    this.#forgetUnused(inode);
  }

  #forgetUnused(inode: Inode): void {
    if (inode.links > 0 || inode.holds > 0 || !this.#inodes.delete(inode.inode)) return;
    this.files--;
    if (inode.kind === "file") this.takenBytes -= inode.contents.takenBytes;
    if (inode.kind === "link") this.takenBytes -= inode.target.length;
    this.onForgotten(inode.inode);
  }

  /** Returns whether something has an inode number. */
  has(number: number): boolean {
    return this.#inodes.has(number);
  }

  /** Returns what has an inode number. @throws {VolumeError} ESTALE when nothing does any more */
  find(number: number): Inode {
    const inode = this.#inodes.get(number);
    if (!inode) throw new VolumeError("ESTALE");
    return inode;
  }

  #file(number: number): FileInode {
    const inode = this.find(number);
    if (inode.kind !== "file") throw new VolumeError("ESTALE");
    return inode;
  }

  #directory(number: number): DirectoryInode {
    const inode = this.find(number);
    if (inode.kind !== "directory" || inode.links === 0) throw new VolumeError("ESTALE");
    return inode;
  }

  #entry(directory: DirectoryInode, name: string, number: number): Inode {
    const inode = directory.entries.get(name);
    if (inode?.inode !== number) throw new VolumeError("ESTALE");
    return inode;
  }
}

/** Sets the times of what has changed itself: a directory with its entries, a file with its contents. */
function touch(inode: Inode, atMs: number): void {
  inode.mtimeMs = atMs;
  inode.ctimeMs = atMs;
}

/** Returns true for a directory itself, and for those below it. */
export function isWithin(directory: DirectoryInode, ancestor: Inode): boolean {
  for (let at: DirectoryInode | undefined = directory; at; at = at.parent) if (at === ancestor) return true;
  return false;
}
