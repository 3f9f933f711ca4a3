import { type ErrnoName, VolumeError } from "./errno.js";
import {
  type FileHandle,
  type FileSnapshot,
  type FolderHandle,
  folderErrorOf,
  treeName,
} from "./folder-handles.js";
import { LoadRoom } from "./load-room.js";
import type { MemoryNode } from "./memory-nodes.js";
import type { MemoryTree, Reservation } from "./memory-tree.js";
import { MAX_FILE_BYTES } from "./tree-state.js";

/** Mode of what is in a folder, which knows none: whatever it is may be executed. */
const FOLDER_MODE = 0o755;
const PIECE_BYTES = 4 * 2 ** 20;
/** Files that are asked for at once. */
const BATCH = 32;
/** Times that a file may change while it is read. */
const MAX_TRIES = 3;
const UNREADABLE: readonly ErrnoName[] = ["ENOENT", "EACCES", "ESTALE"];
const CREATE = { read: false, write: true, truncate: false, append: false, exclusive: true };

/** A file as it is in the folder. */
export interface MirroredFile {
  readonly inode: number;
  handle: FileHandle;
  size: number;
  modifiedMs: number;
}

/** A directory as it is in the folder. Its entries have their names in the tree. */
export interface MirroredFolder {
  readonly inode: number;
  handle: FolderHandle;
  readonly entries: Map<string, Mirrored>;
}

export type Mirrored = MirroredFile | MirroredFolder;

/** Facts about those who use the tree of a mirror. */
export interface MirrorUser {
  /** Waits until the replicas of the tree have taken most of its changes; undefined when there is no need to. */
  ready(): Promise<void> | undefined;
  /** Returns whether a file, or something in a directory, has not been written to the folder. */
  isUnwritten(inode: number): boolean;
  /** Notes that entries of a directory have to be written. */
  noteNames(folder: number): void;
}

/** A tree that shows a folder, and what is known of that: its entries, and which file of the tree each one is. */
export class FolderMirror {
  readonly root: MirroredFolder;
  /** Whether the tree is being changed to what the folder has. */
  isTaking = false;
  readonly #known = new Map<number, Mirrored>();
  readonly #loads = new Map<number, Promise<void>>();
  /** Files whose contents are here and in the folder, oldest first. */
  readonly #kept = new Set<number>();
  /** Files that have just been loaded: whoever waited for one has not used it yet. */
  readonly #fresh = new Set<number>();
  readonly #room: LoadRoom;

  constructor(
    readonly tree: MemoryTree,
    handle: FolderHandle,
    private readonly user: MirrorUser,
  ) {
    this.#room = new LoadRoom(tree, (bytes) => this.makeRoom(bytes));
    const root = tree.root();
    this.root = { inode: root.stat().inode, handle, entries: new Map() };
    root.close();
    this.#known.set(this.root.inode, this.root);
  }

  /** Returns what the folder has of a file or directory of the tree. */
  find(inode: number): Mirrored | undefined {
    return this.#known.get(inode);
  }

  /** Notes that the folder has an entry. */
  add(folder: MirroredFolder, name: string, entry: Mirrored): void {
    const before = folder.entries.get(name);
    if (before) this.#forget(before);
    folder.entries.set(name, entry);
    this.#known.set(entry.inode, entry);
  }

  /** Notes that another directory of the tree has the place of one. What the folder has there is in the new one until it is removed. */
  replace(folder: MirroredFolder, name: string, before: MirroredFolder, inode: number): void {
    if (this.#known.get(before.inode) === before) this.#known.delete(before.inode);
    const entry = { ...before, inode };
    folder.entries.set(name, entry);
    this.#known.set(inode, entry);
  }

  /** Notes that the folder has an entry no more. */
  drop(folder: MirroredFolder, name: string): void {
    const entry = folder.entries.get(name);
    folder.entries.delete(name);
    if (entry) this.#forget(entry);
  }

  /**
   * Compares everything in a directory of the folder with the tree, which becomes equal to it except for what is unwritten.
   *
   * @throws {VolumeError} when it cannot be read, or the tree has no room (ENOSPC); after all the rest, when something in it cannot be
   */
  async takeAll(folder: MirroredFolder = this.root): Promise<void> {
    const found = new Map<string, FileHandle | FolderHandle>();
    for await (const [name, handle] of folder.handle.entries()) {
      const named = treeName(name);
      if (named !== undefined) found.set(named, handle);
    }
    for (const name of folder.entries.keys()) if (!found.has(name)) this.#lose(folder, name);
    let failed: VolumeError | undefined;
    const fail = (cause: unknown) => {
      failed ??= folderErrorOf(cause);
      if (failed.errno === "ENOSPC") throw failed;
    };
    const pending = [...found];
    for (let batch = pending.splice(0, BATCH); batch.length > 0; batch = pending.splice(0, BATCH))
      await Promise.all(batch.map(([name, handle]) => this.#take(folder, name, handle).catch(fail)));
    for (const entry of [...folder.entries.values()])
      if ("entries" in entry) await this.#takeBelow(entry).catch(fail);
    if (failed) throw failed;
  }

  /** Compares one entry of a directory of the folder with the tree; if it is new, or may be another one of the same name, with everything in it. */
  async takeOne(folder: MirroredFolder, name: string, hostName: string, mayBeAnother = false): Promise<void> {
    const before = folder.entries.get(name);
    const handle = await entryOf(folder.handle, hostName);
    if (!handle) return this.#lose(folder, name);
    await this.#take(folder, name, handle);
    const entry = folder.entries.get(name);
    if (entry && "entries" in entry && (mayBeAnother || entry !== before)) await this.#takeBelow(entry);
  }

  async #takeBelow(folder: MirroredFolder): Promise<void> {
    try {
      await this.takeAll(folder);
    } catch (error) {
      // It has gone meanwhile, which the next look finds.
      if (!UNREADABLE.includes(folderErrorOf(error).errno)) throw error;
    }
  }

  /** Loads the contents of a file into the tree. @throws {VolumeError} */
  load(inode: number): Promise<void> {
    const loading = this.#loads.get(inode);
    if (loading) return loading;
    const load = this.#load(inode).finally(() => this.#loads.delete(inode));
    this.#loads.set(inode, load);
    return load;
  }

  /** Notes that a file is in the folder as it is here: its contents may go when there is no room. */
  keep(inode: number): void {
    this.#kept.delete(inode);
    this.#kept.add(inode);
  }

  /** Notes that the folder will not have a file as it is here: its contents stay. */
  hold(inode: number): void {
    this.#kept.delete(inode);
  }

  /** Makes room for so many bytes, as far as files that are in the folder take it. */
  makeRoom(bytes: number): void {
    for (const inode of this.#kept) {
      if (this.tree.freeBytes >= bytes) return;
      if (this.#fresh.has(inode)) continue;
      this.#kept.delete(inode);
      const mirrored = this.#known.get(inode);
      if (!mirrored || "entries" in mirrored || this.user.isUnwritten(inode) || !this.tree.has(inode))
        continue;
      this.#putAway(mirrored);
    }
  }

  async #load(inode: number): Promise<void> {
    for (let tries = 0; this.tree.isAway(inode); tries++) {
      if (tries >= MAX_TRIES) throw new VolumeError("ESTALE");
      const mirrored = this.#known.get(inode);
      if (!mirrored || "entries" in mirrored) throw new VolumeError("ESTALE");
      try {
        const snapshot = await mirrored.handle.getFile();
        this.#takeFacts(mirrored, snapshot);
        if (snapshot.size > MAX_FILE_BYTES) throw new VolumeError("EFBIG");
        const read = (room: Reservation) => this.#read(mirrored, snapshot, room);
        if (await this.#room.use(snapshot.size, read, () => this.#fresh.delete(inode))) return;
      } catch (cause) {
        if (this.tree.isAway(inode)) this.#putAway(mirrored);
        const error = folderErrorOf(cause);
        // It has changed while it was read, or is gone.
        if (error.errno === "ESTALE") continue;
        throw error.errno === "ENOENT" ? new VolumeError("ESTALE", { cause }) : error;
      }
    }
  }

  /** Resolves to whether the tree has all of a file. */
  async #read(mirrored: MirroredFile, snapshot: FileSnapshot, room: Reservation): Promise<boolean> {
    const { inode } = mirrored;
    for (let at = 0; at < snapshot.size; at += PIECE_BYTES) {
      const end = Math.min(snapshot.size, at + PIECE_BYTES);
      const bytes = new Uint8Array(await snapshot.slice(at, end).arrayBuffer());
      // It has been emptied, removed or replaced meanwhile.
      if (!this.tree.isAway(inode) || mirrored.modifiedMs !== snapshot.lastModified) return false;
      room.release(bytes.byteLength);
      this.#change(() =>
        this.tree.apply({ type: "loaded", inode, at, bytes, isLast: end === snapshot.size }),
      );
      await this.user.ready();
    }
    if (this.tree.isAway(inode)) return false;
    this.#fresh.add(inode);
    this.keep(inode);
    return true;
  }

  /** Drops what has been loaded of a file. */
  #putAway({ inode, size, modifiedMs: mtimeMs }: MirroredFile): void {
    this.#change(() => this.tree.apply({ type: "away", inode, size, mtimeMs, isSame: true, atMs: 0 }));
  }

  async #take(folder: MirroredFolder, name: string, handle: FileHandle | FolderHandle): Promise<void> {
    const known = folder.entries.get(name);
    if (known && "entries" in known === (handle.kind === "directory")) {
      known.handle = handle;
      if (!("entries" in known)) await this.#takeFile(known);
      return;
    }
    if (known) this.#lose(folder, name);
    if (handle.kind === "directory") return this.#appear(folder, name, handle);
    const snapshot = await snapshotOf(handle);
    if (snapshot) this.#appear(folder, name, handle, snapshot);
  }

  async #takeFile(known: MirroredFile): Promise<void> {
    const snapshot = await snapshotOf(known.handle);
    if (snapshot) this.#takeFacts(known, snapshot);
  }

  /** Takes over the contents of a file that has been changed in the folder. What is unwritten here wins. */
  #takeFacts(known: MirroredFile, { size, lastModified }: { size: number; lastModified: number }): void {
    if (known.size === size && known.modifiedMs === lastModified) return;
    known.size = size;
    known.modifiedMs = lastModified;
    const { inode } = known;
    if (!this.tree.has(inode) || this.user.isUnwritten(inode)) return;
    // An old place, which could not be removed.
    if (this.#known.get(inode) !== known) return;
    this.#kept.delete(inode);
    this.#change(() =>
      this.tree.apply({ type: "away", inode, size, mtimeMs: lastModified, isSame: false, atMs: Date.now() }),
    );
  }

  /** Takes over an entry that is new in the folder. One that the tree has of the name is unwritten, and wins. */
  #appear(
    folder: MirroredFolder,
    name: string,
    handle: FileHandle | FolderHandle,
    snapshot?: { size: number; lastModified: number },
  ): void {
    if (!this.tree.has(folder.inode)) return;
    this.#change(() => {
      const parent = this.tree.node(folder.inode);
      let node: MemoryNode | undefined;
      try {
        if (entryIn(parent, name) !== undefined) return;
        if (handle.kind === "directory") {
          node = parent.makeDirectory(name, FOLDER_MODE);
          this.add(folder, name, { inode: node.stat().inode, handle, entries: new Map() });
          return;
        }
        const made = parent.create(name, CREATE, FOLDER_MODE);
        made.file.close();
        node = made.node;
        const { inode } = node.stat();
        const { size, lastModified: mtimeMs } = snapshot!;
        this.tree.apply({ type: "away", inode, size, mtimeMs, isSame: false, atMs: Date.now() });
        this.add(folder, name, { inode, handle, size, modifiedMs: mtimeMs });
      } catch (error) {
        // What has no name in the tree is not shown.
        if (folderErrorOf(error).errno !== "ENAMETOOLONG") throw error;
      } finally {
        node?.close();
        parent.close();
      }
    });
  }

  /** Takes over that an entry is gone from the folder. */
  #lose(folder: MirroredFolder, name: string): void {
    const gone = folder.entries.get(name);
    this.drop(folder, name);
    if (gone) this.#removeGone(folder.inode, name, gone);
  }

  /** Removes from the tree what is gone from the folder. What is unwritten stays, to be written again. */
  #removeGone(folder: number, name: string, gone: Mirrored): void {
    if (!this.tree.has(folder)) return;
    if (!this.#hasUnwritten(gone.inode))
      return this.#change(() => removeEntry(this.tree, folder, name, gone));
    this.user.noteNames(folder);
    if ("entries" in gone)
      for (const [below, entry] of gone.entries) this.#removeGone(gone.inode, below, entry);
  }

  #hasUnwritten(inode: number): boolean {
    if (!this.tree.has(inode)) return false;
    if (this.user.isUnwritten(inode)) return true;
    const node = this.tree.node(inode);
    const entries = node.kind === "directory" ? node.list() : [];
    node.close();
    return entries.some((entry) => this.#hasUnwritten(entry.inode));
  }

  #forget(entry: Mirrored): void {
    if (this.#known.get(entry.inode) === entry) this.#known.delete(entry.inode);
    if ("entries" in entry) for (const below of entry.entries.values()) this.#forget(below);
  }

  #change(make: () => void): void {
    this.isTaking = true;
    try {
      make();
    } finally {
      this.isTaking = false;
    }
  }
}

/** Removes an entry of the tree with everything in it, if it is still there. */
function removeEntry(tree: MemoryTree, folder: number, name: string, { inode }: Mirrored): void {
  const parent = tree.node(folder);
  try {
    if (entryIn(parent, name) === inode) removeAll(parent, name);
  } finally {
    parent.close();
  }
}

/** Removes an entry of a directory of a tree, with everything in it. */
export function removeAll(parent: MemoryNode, name: string): void {
  const node = parent.find(name);
  const isFolder = node.kind === "directory";
  if (isFolder) for (const entry of node.list()) removeAll(node, entry.name);
  node.close();
  parent.remove(name, isFolder ? "directory" : "file");
}

/** Returns the inode number of an entry of a directory of a tree. Undefined: there is none of the name. */
export function entryIn(folder: MemoryNode, name: string): number | undefined {
  try {
    const node = folder.find(name);
    const { inode } = node.stat();
    node.close();
    return inode;
  } catch (error) {
    if (folderErrorOf(error).errno === "ENOENT") return undefined;
    throw error;
  }
}

/** Returns a file as it is now. Undefined: it is gone, or cannot be read. */
async function snapshotOf(handle: FileHandle): Promise<FileSnapshot | undefined> {
  try {
    return await handle.getFile();
  } catch (error) {
    if (UNREADABLE.includes(folderErrorOf(error).errno)) return undefined;
    throw error;
  }
}

/** Returns what a directory of the folder has of a name. Undefined: nothing. */
export async function entryOf(
  folder: FolderHandle,
  name: string,
): Promise<FileHandle | FolderHandle | undefined> {
  for (const method of ["getFileHandle", "getDirectoryHandle"] as const)
    try {
      return await folder[method](name);
    } catch (error) {
      const { errno } = folderErrorOf(error);
      if (errno === "ENOENT") return undefined;
      if (errno !== "ENOTDIR") throw error;
    }
  return undefined;
}
