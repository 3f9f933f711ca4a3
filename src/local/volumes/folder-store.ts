import { startTimer } from "../../util/timer.js";
import { VolumeError } from "./errno.js";
import { type FolderHandle, folderName } from "./folder-handles.js";
import { entryIn, FolderMirror, type MirrorUser } from "./folder-mirror.js";
import { FolderWriter, type WriteFailure } from "./folder-writer.js";
import { MemoryTree } from "./memory-tree.js";
import { TreeOriginal, type TreeStore } from "./tree-original.js";
import { MAX_FILE_BYTES } from "./tree-state.js";

/** Bytes of contents that are in memory at most. Beyond, those that are in the folder, too, are dropped. */
const MAX_BYTES = 2 ** 31;
/** Directories that may be nested. */
const MAX_DEPTH = 256;
/** Largest directory that is renamed, which means that everything in it is copied. */
const MAX_MOVED_FILES = 1000;
const MAX_MOVED_BYTES = 64 * 2 ** 20;

type Request = Partial<Record<string, unknown>>;

/** A folder of a page as the tree of a volume. What is written to the tree is in the folder a moment later. */
export class FolderStore implements TreeStore, MirrorUser {
  readonly original: TreeOriginal;
  readonly mirror: FolderMirror;
  readonly #tree = new MemoryTree({ maxBytes: MAX_BYTES });
  readonly #writer = new FolderWriter(() => this.mirror);
  readonly #unfollow: () => void;
  #queue: Promise<unknown> = Promise.resolve();
  #stopTimer: () => void = () => {};
  #timerMs = Number.POSITIVE_INFINITY;
  #isClosed = false;

  /** Begins with an empty tree. */
  constructor(handle: FolderHandle) {
    this.mirror = new FolderMirror(this.#tree, handle, this);
    this.original = new TreeOriginal(this.#tree, undefined, this);
    this.#unfollow = this.#tree.onChange((change) => {
      if (this.mirror.isTaking) return;
      this.#writer.note(change);
      this.#schedule();
    });
  }

  /** Does something with the folder while nothing else does. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  ready(): Promise<void> | undefined {
    return this.original.ready();
  }

  isUnwritten(inode: number): boolean {
    return this.#writer.isUnwritten(inode);
  }

  noteNames(folder: number): void {
    this.#writer.noteNames(folder);
    this.#schedule();
  }

  prepare(request: Request): Promise<void> | undefined {
    const { op, inode } = request as { op: unknown; inode: number };
    for (const name of [request["name"], request["newName"]])
      if (typeof name === "string" && folderName(name) === undefined) throw new VolumeError("EINVAL");
    switch (op) {
      case "symlink":
      case "link":
        throw new VolumeError("EPERM");
      case "mkdir":
        return this.#requireShallow(request["parent"] as number);
      case "rename":
        return this.#requireMovable(request);
      case "write":
        this.mirror.makeRoom((request["bytes"] as Uint8Array | undefined)?.byteLength ?? 0);
        return this.#loaded(inode);
      case "change":
        return typeof request["size"] === "number" && request["size"] > 0 ? this.#loaded(inode) : undefined;
      case "load":
        return this.#loaded(inode);
      case "closed":
        this.#writer.noteClosed(inode);
        this.#schedule();
    }
    return undefined;
  }

  async sync(inode: number): Promise<void> {
    if (!this.#tree.has(inode)) return;
    const failures = await this.exclusively(() => this.#writer.write({ wanted: inode }));
    this.#schedule();
    const [first] = failures.values();
    const failed = failures.get(inode) ?? (this.isUnwritten(inode) ? first : undefined);
    if (failed) throw failed.error;
  }

  /** Writes all that has not been written, and resolves to what could not be. */
  async flush(): Promise<WriteFailure[]> {
    const failures = await this.exclusively(() => this.#writer.write({ all: true }));
    this.#schedule();
    return [...failures.values()];
  }

  /** Ends it. What has not been written is lost. */
  close(): void {
    this.#isClosed = true;
    this.#writer.close();
    this.#unfollow();
    this.#stopTimer();
  }

  #loaded(inode: number): Promise<void> | undefined {
    return this.#tree.isAway(inode) ? this.mirror.load(inode) : undefined;
  }

  #requireShallow(folder: number): undefined {
    if (this.#tree.depthOf(folder) >= MAX_DEPTH) throw new VolumeError("ENAMETOOLONG");
  }

  /** Checks that what is renamed can be: browsers rename no directories, and what is in a file that is too large cannot be copied. */
  #requireMovable({ parent, name, newParent }: Request): undefined {
    this.#requireShallow(newParent as number);
    const inode = this.#entry(parent as number, name as string);
    if (inode === undefined || !this.mirror.find(inode)) return;
    let [files, bytes] = [0, 0];
    const pending = [inode];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const node = this.#tree.node(next);
      const { kind, size } = node.stat();
      if (kind === "directory") pending.push(...node.list().map((entry) => entry.inode));
      else if (size > MAX_FILE_BYTES) files = Number.POSITIVE_INFINITY;
      else bytes += size;
      node.close();
      if (next === inode && kind !== "directory") bytes = 0;
      if (++files > MAX_MOVED_FILES || bytes > MAX_MOVED_BYTES) throw new VolumeError("EXDEV");
    }
  }

  #entry(parent: number, name: string): number | undefined {
    if (!this.#tree.has(parent)) return undefined;
    const node = this.#tree.node(parent);
    try {
      return node.kind === "directory" ? entryIn(node, name) : undefined;
    } finally {
      node.close();
    }
  }

  #schedule(): void {
    const { nextMs } = this.#writer;
    if (nextMs >= this.#timerMs || this.#isClosed) return;
    this.#stopTimer();
    this.#timerMs = nextMs;
    this.#stopTimer = startTimer(Math.max(0, nextMs - Date.now()), () => {
      this.#timerMs = Number.POSITIVE_INFINITY;
      this.exclusively(() => this.#writer.write({})).then(
        () => this.#schedule(),
        () => {},
      );
    });
  }
}
