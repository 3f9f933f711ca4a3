import { pause } from "../../util/timer.js";
import { type ErrnoName, VolumeError, volumeErrorOf } from "./errno.js";
import type { SharedNode } from "./fids.js";
import { type Later, MAX_PATH_BYTES, type NodeEntry, type VolumeNode } from "./volume-files.js";
import type { WatchedNodes } from "./watched-nodes.js";

/** Most directories of one watch: as many as the guest watches on its disk. */
export const MAX_FOLDERS = 8192;
/** Files that are looked at before the machine gets its turn. */
const TURN_FILES = 64;
/** Events in one turn beyond which some may be lost: half of what Linux keeps for a reader. */
const MANY_EVENTS = 8192;
/** Errors after which no further directory can be watched. Others are of one directory, which is left out. */
const LASTING: readonly ErrnoName[] = ["ENOSPC", "EMFILE", "ENFILE", "EOPNOTSUPP"];

/** Errors of an entry that is not there, or may not be looked at. */
const ABSENT: readonly ErrnoName[] = ["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ESTALE", "EACCES", "EPERM"];

/** A directory that is watched. */
export class Folder {
  /** Directories in it that are watched, too. */
  readonly folders = new Map<string, Folder>();
  /** Names of entries that may have changed. */
  readonly dirty = new Set<string>();
  /** Ends the watch of this directory. */
  stop: () => void = () => {};
  isClosed = false;

  constructor(
    readonly node: VolumeNode,
    /** Gives up the node. */
    readonly release: () => void,
    public parent: Folder | undefined,
    public name: string,
  ) {}

  /** Returns the path of an entry, from the root of the watch on; without a name, that of the directory, "" for the root. Undefined: it is too long for a program to use. */
  pathOf(name?: string): string | undefined {
    const names = name === undefined ? [] : [name];
    let bytes = name === undefined ? 0 : name.length + 1;
    for (let folder: Folder = this; folder.parent; folder = folder.parent) {
      names.push(folder.name);
      bytes += folder.name.length + 1;
      if (bytes > MAX_PATH_BYTES) return undefined;
    }
    return names.map((_, index) => `/${names.at(-1 - index)}`).join("");
  }
}

/** Watches a directory whose file system tells which of its entries may have changed, with all directories below it or alone. */
export abstract class FolderWatch {
  protected readonly root: Folder;
  private readonly dirty = new Set<Folder>();
  /** Directories that are watched, or are about to be. */
  private readonly open = new Set<Folder>();
  private looked = 0;
  private events = 0;
  private isLooking = false;
  protected isOver = false;

  /** Takes over the directory. */
  constructor(
    shared: SharedNode,
    private readonly nodes: WatchedNodes,
    protected readonly recursive: boolean,
  ) {
    this.root = new Folder(shared.node, () => shared.release(), undefined, "");
    this.open.add(this.root);
  }

  /** Takes an entry of a directory that is being listed. `isNew`: the directory has appeared since the watch began. */
  protected abstract admit(folder: Folder, entry: NodeEntry, isNew: boolean): Later<void>;
  /** Looks at the entries of directories that may have changed. */
  protected abstract look(changed: Map<Folder, Set<string>>): Promise<void>;
  /** Takes the loss of events. */
  protected abstract lose(): Promise<void>;
  /** Takes the reason why the watch cannot go on. */
  protected abstract fail(error: VolumeError): void;
  /** Forgets a directory that is no longer watched. */
  protected abstract drop(folder: Folder): void;

  /**
   * Resolves once every later change is noticed. A directory below that cannot be read is left out. Holds nothing after a failure.
   *
   * @throws {VolumeError} ENOSPC when there are too many directories, EMFILE when they would take too many descriptors, EOPNOTSUPP when the file system does not tell
   */
  async begin(): Promise<void> {
    // What changes meanwhile is compared with what was found.
    this.isLooking = true;
    try {
      await this.enter(this.root, false);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.isLooking = false;
    }
    this.lookSoon();
  }

  /** Ends the watch. Idempotent. */
  close(): void {
    this.isOver = true;
    for (const folder of this.open) this.shut(folder);
  }

  /** Watches a directory, and all below it. */
  protected async enter(first: Folder, isNew: boolean): Promise<void> {
    const pending = [first];
    for (let folder = pending.pop(); folder && !this.isOver; folder = pending.pop()) {
      if (folder.isClosed) continue;
      const current = folder;
      await this.attempt(current, async () => {
        this.start(current);
        for (const entry of await current.node.list()) {
          await this.takeTurn();
          if (this.isOver || current.isClosed) break;
          await this.admit(current, entry, isNew);
          const child = entry.kind === "directory" && (await this.child(current, entry.name));
          if (child) pending.push(child);
        }
      });
    }
  }

  /** Does something with a directory, which is left out if it cannot be read. */
  protected async attempt(folder: Folder, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (folder === this.root || LASTING.includes(volumeErrorOf(error).errno)) throw error;
      this.leave(folder);
    }
  }

  /** Begins the watch of one directory. @throws {VolumeError} EOPNOTSUPP */
  protected start(folder: Folder): void {
    if (!folder.node.watch) throw new VolumeError("EOPNOTSUPP");
    folder.stop = folder.node.watch((name) => this.note(folder, name));
  }

  /** Makes the place of a directory that is to be entered, unless it has one. @throws {VolumeError} ENOSPC, EMFILE */
  protected async child(folder: Folder, name: string): Promise<Folder | undefined> {
    if (!this.recursive || folder.folders.has(name)) return undefined;
    const node = await found(folder.node, name);
    if (node?.kind !== "directory" || this.isOver || folder.isClosed) {
      node?.close();
      return undefined;
    }
    if (this.open.size >= MAX_FOLDERS) {
      node.close();
      throw new VolumeError("ENOSPC");
    }
    const held = this.nodes.hold(node);
    const child = new Folder(held.node, held.release, folder, name);
    this.open.add(child);
    folder.folders.set(name, child);
    return child;
  }

  /** Ends the watches of a directory and of all below it. */
  protected leave(first: Folder): void {
    this.takeOut(first);
    const pending = [first];
    for (let folder = pending.pop(); folder; folder = pending.pop()) {
      if (folder.isClosed) continue;
      for (const child of folder.folders.values()) pending.push(child);
      this.shut(folder);
    }
  }

  /** Ends the watch of one directory. */
  private shut(folder: Folder): void {
    folder.isClosed = true;
    this.open.delete(folder);
    this.dirty.delete(folder);
    folder.stop();
    folder.release();
    this.drop(folder);
  }

  /** Gives a directory another place. */
  protected move(folder: Folder, to: Folder, name: string): void {
    this.takeOut(folder);
    folder.parent = to;
    folder.name = name;
    to.folders.set(name, folder);
  }

  /** Takes a directory out of the one that it is in, unless another has its place already. */
  private takeOut(folder: Folder): void {
    const { parent, name } = folder;
    if (parent?.folders.get(name) === folder) parent.folders.delete(name);
  }

  /** Lets the machine have its turn, now and then. */
  protected async takeTurn(): Promise<void> {
    if (++this.looked % TURN_FILES === 0) await pause(0);
  }

  /** Notes that an entry may have changed. */
  protected note(folder: Folder, name: string): void {
    if (this.isOver || folder.isClosed) return;
    folder.dirty.add(name);
    this.dirty.add(folder);
    this.events++;
    this.lookSoon();
  }

  private lookSoon(): void {
    if (this.isLooking || this.dirty.size === 0) return;
    this.isLooking = true;
    void this.lookAtAll().catch((error) => this.isOver || this.fail(volumeErrorOf(error)));
  }

  private async lookAtAll(): Promise<void> {
    try {
      while (this.dirty.size > 0 && !this.isOver) {
        // What belongs together, such as the two halves of a rename, comes in one turn.
        await pause(0);
        const isLost = this.events > MANY_EVENTS;
        this.events = 0;
        const changed = new Map([...this.dirty].map((folder) => [folder, new Set(folder.dirty)]));
        for (const folder of this.dirty) folder.dirty.clear();
        this.dirty.clear();
        await this.look(changed);
        if (isLost && !this.isOver) await this.lose();
      }
    } finally {
      this.isLooking = false;
    }
  }
}

/** Finds an entry of a directory; undefined when there is none, or none that may be looked at. */
export async function found(node: VolumeNode, name: string): Promise<VolumeNode | undefined> {
  if (name === "." || name === "..") return undefined;
  try {
    return await node.find(name);
  } catch (error) {
    const { errno } = volumeErrorOf(error);
    if (ABSENT.includes(errno)) return undefined;
    throw error;
  }
}
