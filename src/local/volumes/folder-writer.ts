import { VolumeError } from "./errno.js";
import { type FolderHandle, foldedName, folderErrorOf, hostNameOf } from "./folder-handles.js";
import { entryOf, type FolderMirror, type Mirrored, type MirroredFolder } from "./folder-mirror.js";
import type { TreeChange } from "./tree-changes.js";
import type { NodeEntry } from "./volume-files.js";

/** Quiet time after which a file is written that is still open, and the longest that it waits while it changes. */
const QUIET_MS = 1000;
const LONGEST_MS = 5000;
/** Time in which further changes are waited for, once a file was closed or a name has changed. */
const SOON_MS = 100;
/** Time after which is tried again what could not be written. */
const RETRY_MS = 5000;
const PIECE_BYTES = 2 ** 20;
const READ = { read: true, write: false, truncate: false, append: false };

/** A file whose contents have not been written. */
interface Dirty {
  sinceMs: number;
  dueMs: number;
  /** Changes with each change. */
  version: number;
}

/** An entry of the folder that the tree has not at this place. */
interface Removal {
  folder: MirroredFolder;
  name: string;
  entry: Mirrored;
}

/** Returns whether an entry of the folder, or a part of it, must not be removed now. */
type IsNeeded = (entry: Mirrored) => boolean;

/** A change that could not be written. */
export interface WriteFailure {
  /** Name of the entry. */
  name: string;
  error: VolumeError;
}

/** Writes what changes in a tree to its folder. It compares the two, so that of several changes the last result is written. */
export class FolderWriter {
  readonly #files = new Map<number, Dirty>();
  /** Directories whose names have changed, with the times at which they are to be written. */
  readonly #folders = new Map<number, number>();
  #failures = new Map<number, WriteFailure>();
  #nextMs = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(private readonly mirror: () => FolderMirror) {}

  /** Returns whether a file or the names of a directory have not been written. */
  isUnwritten(inode: number): boolean {
    return this.#files.has(inode) || this.#folders.has(inode);
  }

  /** Time before which nothing has to be written; infinite when nothing has to be. */
  get nextMs(): number {
    return this.#nextMs;
  }

  /** Ends it, also in the middle of a pass: the entry that is being written is the last one. */
  close(): void {
    this.#isClosed = true;
  }

  /** Notes a change of the tree. */
  note(change: TreeChange): void {
    switch (change.type) {
      case "made":
        if (change.kind === "file") this.#noteFile(change.inode);
        return this.noteNames(change.parent);
      case "removed":
        return this.noteNames(change.parent);
      case "renamed":
        this.noteNames(change.parent);
        this.noteNames(change.newParent);
        return this.noteClosed(change.inode);
      case "written":
      case "resized":
        this.#noteFile(change.inode);
    }
  }

  /** Notes that entries of a directory have changed. */
  noteNames(folder: number): void {
    this.#noteFolder(folder, Date.now() + SOON_MS);
  }

  /** Notes that a file, which may have been written to, will not change soon. */
  noteClosed(inode: number): void {
    const dirty = this.#files.get(inode);
    if (!dirty) return;
    dirty.dueMs = Math.min(dirty.dueMs, Date.now() + SOON_MS);
    this.#nextMs = Math.min(this.#nextMs, dirty.dueMs);
  }

  /**
   * Writes what is due, and everything with `all`. `wanted` is a file that has to be written, too.
   *
   * @returns what could not be written, by inode numbers
   */
  async write({
    all = false,
    wanted,
  }: {
    all?: boolean;
    wanted?: number;
  }): Promise<Map<number, WriteFailure>> {
    const atMs = Date.now();
    this.#failures = new Map();
    const isDue = (inode: number) => all || inode === wanted || (this.#files.get(inode)?.dueMs ?? 0) <= atMs;
    const folders = [...this.#folders.keys()];
    this.#folders.clear();
    const gone = await this.#writeNames(folders, isDue);
    const { tree } = this.mirror();
    for (const inode of [...this.#files.keys()]) {
      const mirrored = this.mirror().find(inode);
      // Without a name it is written nowhere.
      if (!tree.has(inode) || linksOf(tree, inode) === 0) this.#files.delete(inode);
      else if (!isDue(inode)) continue;
      // Its directory could not be made.
      else if (!mirrored) this.#files.get(inode)!.dueMs = Date.now() + RETRY_MS;
      else if (!("entries" in mirrored))
        await this.#attempt(inode, mirrored.handle.name, () => this.#writeFile(inode, mirrored.handle));
    }
    for (const removal of gone) await this.#removeOld(removal, (entry) => this.#isLast(entry));
    for (const inode of this.#failures.keys()) {
      const dirty = this.#files.get(inode);
      if (dirty) dirty.dueMs = Date.now() + RETRY_MS;
    }
    this.#nextMs = Number.POSITIVE_INFINITY;
    for (const dueMs of this.#folders.values()) this.#nextMs = Math.min(this.#nextMs, dueMs);
    for (const { dueMs } of this.#files.values()) this.#nextMs = Math.min(this.#nextMs, dueMs);
    return this.#failures;
  }

  #noteFolder(inode: number, dueMs: number): void {
    this.#folders.set(inode, Math.min(dueMs, this.#folders.get(inode) ?? dueMs));
    this.#nextMs = Math.min(this.#nextMs, dueMs);
  }

  #noteFile(inode: number): void {
    const atMs = Date.now();
    const dirty = this.#files.get(inode) ?? { sinceMs: atMs, dueMs: 0, version: 0 };
    dirty.version++;
    dirty.dueMs = Math.min(atMs + QUIET_MS, dirty.sinceMs + LONGEST_MS);
    this.#files.set(inode, dirty);
    this.#nextMs = Math.min(this.#nextMs, dirty.dueMs);
  }

  /** Makes the entries of directories equal to those of the tree: first what is new, then what is gone. Returns what must stay as long as nothing else is written. */
  async #writeNames(inodes: readonly number[], isDue: (inode: number) => boolean): Promise<Removal[]> {
    const gone: Removal[] = [];
    const folders = this.#withReplaced(inodes);
    for (const inode of folders) {
      const folder = this.#folder(inode);
      if (!folder) continue;
      const wanted = this.#entriesOf(inode);
      for (const [name, entry] of folder.entries)
        if (!this.#isPlaceOf(entry, wanted.get(name)?.inode)) gone.push({ folder, name, entry });
    }
    // Whatever still needs contents that are in the folder only.
    for (const { entry, name } of gone) await this.#rescue(entry, name);
    for (const removal of gone.splice(0))
      if (this.#isInTheWay(removal)) await this.#removeOld(removal, (entry) => this.#isAway(entry));
      else gone.push(removal);
    for (const inode of folders) {
      const folder = this.#folder(inode);
      if (folder) await this.#placeAll(folder, isDue);
    }
    for (const removal of gone.splice(0))
      if (this.#isLast(removal.entry)) gone.push(removal);
      else await this.#removeOld(removal, (entry) => this.#isLast(entry));
    return gone;
  }

  /** Gives directories that have taken the place of others what is in those, and returns them, too: their names have to be written. */
  #withReplaced(inodes: readonly number[]): Set<number> {
    const folders = new Set(inodes);
    // The set grows meanwhile.
    for (const inode of folders) {
      const folder = this.#folder(inode);
      if (!folder) continue;
      const wanted = this.#entriesOf(inode);
      for (const [name, entry] of folder.entries) {
        const now = wanted.get(name);
        if (now?.kind !== "directory" || !("entries" in entry) || this.#isPlaceOf(entry, now.inode)) continue;
        this.mirror().replace(folder, name, entry, now.inode);
        folders.delete(now.inode);
        folders.add(now.inode);
      }
    }
    return folders;
  }

  /** Returns whether the folder has something, or a part of it, that the tree still has at this place only. */
  #isLast(entry: Mirrored): boolean {
    if ("entries" in entry && [...entry.entries.values()].some((below) => this.#isLast(below))) return true;
    const { inode } = entry;
    const { tree } = this.mirror();
    if (!tree.has(inode)) return false;
    const isHere = this.mirror().find(inode) === entry;
    // Without a name, a program may have it open.
    if (linksOf(tree, inode) === 0) return isHere && tree.isAway(inode);
    return isHere || this.#files.has(inode);
  }

  /** Returns whether something of the tree belongs to an entry of the folder, and has no newer place. */
  #isPlaceOf(entry: Mirrored, inode: number | undefined): boolean {
    return entry.inode === inode && this.mirror().find(inode) === entry;
  }

  /** Returns whether the folder has contents of something that the tree has not. */
  #isAway(entry: Mirrored): boolean {
    if ("entries" in entry) return [...entry.entries.values()].some((below) => this.#isAway(below));
    return this.mirror().tree.isAway(entry.inode);
  }

  /** Creates what a directory of the folder has not. */
  async #placeAll(folder: MirroredFolder, isDue: (inode: number) => boolean): Promise<void> {
    const folded = new Set([...folder.entries.keys()].map(foldedName));
    for (const [name, entry] of this.#entriesOf(folder.inode)) {
      const before = folder.entries.get(name);
      if (before && this.#isPlaceOf(before, entry.inode)) continue;
      const work = async () => {
        // To a system that does not tell letters apart, it is the file of the other name.
        if (!before && folded.has(foldedName(name)) && (await entryOf(folder.handle, hostNameOf(name))))
          throw new VolumeError("EEXIST");
        await this.#place(folder, name, entry, isDue);
      };
      await this.#attempt(entry.inode, name, work, folder.inode);
      if (folder.entries.has(name)) folded.add(foldedName(name));
    }
  }

  async #place(
    folder: MirroredFolder,
    name: string,
    { inode, kind }: NodeEntry,
    isDue: (inode: number) => boolean,
  ): Promise<void> {
    const mirror = this.mirror();
    const hostName = hostNameOf(name);
    const before = folder.entries.get(name);
    if (kind === "directory") {
      // It has come meanwhile, and is to begin with what is in the other one.
      if (before && "entries" in before) return this.#noteFolder(folder.inode, Date.now() + SOON_MS);
      const handle = await folder.handle.getDirectoryHandle(hostName, { create: true });
      const placed: MirroredFolder = { inode, handle, entries: new Map() };
      mirror.add(folder, name, placed);
      return this.#placeAll(placed, isDue);
    }
    // One that is being written waits, unless it has been elsewhere.
    const dirty = this.#files.get(inode);
    if (dirty && !mirror.find(inode) && !isDue(inode)) return this.#noteFolder(folder.inode, dirty.dueMs);
    await mirror.load(inode);
    if (!mirror.tree.has(inode)) return;
    // It could not be loaded, and would be lost.
    if (before && this.#isAway(before)) return this.#noteFolder(folder.inode, Date.now() + RETRY_MS);
    const handle = await folder.handle.getFileHandle(hostName, { create: true });
    // It has had to make room meanwhile, and is still at its old place only.
    if (mirror.tree.isAway(inode)) return this.#noteFolder(folder.inode, Date.now() + SOON_MS);
    mirror.add(folder, name, { inode, handle, size: 0, modifiedMs: 0 });
    this.#noteFile(inode);
    await this.#writeFile(inode, handle);
  }

  /** Writes the whole contents of a file. */
  async #writeFile(inode: number, handle: Awaited<ReturnType<FolderHandle["getFileHandle"]>>): Promise<void> {
    const mirror = this.mirror();
    const version = this.#files.get(inode)?.version;
    const writer = await handle.createWritable();
    try {
      for (let at = 0; ; at += PIECE_BYTES) {
        const piece = pieceOf(mirror, inode, at);
        if (piece.byteLength > 0) await writer.write(piece);
        if (piece.byteLength < PIECE_BYTES) break;
      }
      // Half of a file that is gone is worth nothing.
      if (!mirror.tree.has(inode)) return await writer.abort();
    } catch (error) {
      await writer.abort().catch(() => {});
      throw error;
    }
    await writer.close();
    const { size, lastModified } = await handle.getFile();
    const mirrored = mirror.find(inode);
    if (mirrored && !("entries" in mirrored)) {
      mirrored.size = size;
      mirrored.modifiedMs = lastModified;
    }
    if (this.#files.get(inode)?.version !== version) return;
    this.#files.delete(inode);
    mirror.keep(inode);
  }

  /** Loads the contents of files that are about to be removed or replaced in the folder, and that the tree still has. */
  async #rescue(entry: Mirrored, name: string): Promise<void> {
    const mirror = this.mirror();
    if ("entries" in entry) for (const [below, inner] of [...entry.entries]) await this.#rescue(inner, below);
    else if (mirror.tree.isAway(entry.inode))
      await this.#attempt(entry.inode, name, () => mirror.load(entry.inode));
  }

  /** Removes what is gone, or does so later if something in it is needed. */
  async #removeOld({ folder, name, entry }: Removal, isNeeded: IsNeeded): Promise<void> {
    // A directory that is elsewhere now is removed with its old place.
    if (this.#folder(folder.inode) !== folder) return;
    if (!(await this.#remove(folder, name, entry, isNeeded)))
      this.#noteFolder(folder.inode, Date.now() + RETRY_MS);
  }

  /** Removes an entry of the folder, with what is known to be in it, except for what is needed. Returns whether all of it is gone. */
  async #remove(folder: MirroredFolder, name: string, entry: Mirrored, isNeeded: IsNeeded): Promise<boolean> {
    // Something else has taken its place.
    if (folder.entries.get(name) !== entry) return true;
    if (isNeeded(entry)) return false;
    let isEmpty = true;
    if ("entries" in entry)
      for (const [below, inner] of [...entry.entries])
        isEmpty = (await this.#remove(entry, below, inner, isNeeded)) && isEmpty;
    const hostName = hostNameOf(name);
    const work = async () => {
      // It may be the last copy.
      if (this.mirror().find(entry.inode) === entry) this.mirror().hold(entry.inode);
      try {
        await folder.handle.removeEntry(hostName);
      } catch (error) {
        const { errno } = folderErrorOf(error);
        // Somebody else has put something in it: then it stays, and comes into the tree again.
        if (errno === "ENOTEMPTY") {
          this.mirror().drop(folder, name);
          return this.mirror().takeOne(folder, name, hostName);
        }
        if (errno !== "ENOENT") throw error;
      }
      this.mirror().drop(folder, name);
    };
    return isEmpty && this.#attempt(folder.inode, name, work, folder.inode);
  }

  /** Returns whether a removal has to come before what is new: another kind of entry has the name, or the same name in other letters, which may be one for the system below. */
  #isInTheWay({ folder, name, entry }: Removal): boolean {
    const wanted = this.#entriesOf(folder.inode);
    const now = wanted.get(name);
    if (now) return (now.kind === "directory") !== "entries" in entry;
    const folded = foldedName(name);
    return [...wanted.keys()].some((other) => foldedName(other) === folded);
  }

  #folder(inode: number): MirroredFolder | undefined {
    const found = this.mirror().find(inode);
    return found && "entries" in found ? found : undefined;
  }

  #entriesOf(inode: number): Map<string, NodeEntry> {
    const { tree } = this.mirror();
    if (!tree.has(inode)) return new Map();
    const node = tree.node(inode);
    const entries = node.list();
    node.close();
    return new Map(entries.map((entry) => [entry.name, entry]));
  }

  /** Does something for a file, and notes why it failed. `folder` has to be looked at again then. Returns whether it succeeded. */
  async #attempt(inode: number, name: string, work: () => Promise<void>, folder?: number): Promise<boolean> {
    if (this.#isClosed) return false;
    try {
      await work();
      return true;
    } catch (cause) {
      this.#failures.set(inode, { name, error: folderErrorOf(cause) });
      if (folder !== undefined) this.#noteFolder(folder, Date.now() + RETRY_MS);
      return false;
    }
  }
}

function linksOf(tree: FolderMirror["tree"], inode: number): number {
  const node = tree.node(inode);
  const { links } = node.stat();
  node.close();
  return links;
}

/** Returns a piece of a file of the tree; an empty one when it is gone. */
function pieceOf({ tree }: FolderMirror, inode: number, at: number): Uint8Array {
  if (!tree.has(inode)) return new Uint8Array(0);
  const node = tree.node(inode);
  const file = node.open(READ);
  try {
    const piece = new Uint8Array(PIECE_BYTES);
    return piece.subarray(0, file.read(piece, at) as number);
  } finally {
    file.close();
    node.close();
  }
}
