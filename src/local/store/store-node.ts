import { watch as watchFolder } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BoxRunError } from "../../backend/errors.js";
import { OWN_BOX_ID } from "../../util/ids.js";
import { makeFolders } from "../../util/make-folders.js";
import type { BoxStore, LockOwner, Release } from "./box-store.js";
import { fileSystemError } from "./failures-node.js";
import { flushFolder, writeFlushed } from "./flush-node.js";
import { describeLock, isLockHeld, takeFirstLock, takeLock } from "./lock-file-node.js";

const RECORD = "box.json";
const HISTORY = "history.jsonl";
const DISK = "disk";
/** Key of data that is stored as base64. */
const HISTORY_BYTES = "bytes";
/** Prefixes of folders that are not boxes yet, or no longer. */
const NEW = ".new-";
const REMOVED = ".removed-";
const DRAFT_AGE_MS = 60_000;
/** Options of folders that only their owner may read: environments and outputs of commands may hold secrets. */
const PRIVATE = { mode: 0o700 };
const makePrivate = (folder: string) => makeFolders(folder, { mkdir, stat }, dirname, PRIVATE);
/** Time for other processes to finish with names, which takes milliseconds. Beyond it, a process hangs. */
const EXCLUSIVE_DEADLINE_MS = 10_000;
const EXCLUSIVE_RETRY_MS = 5;
/** Interval of hints where the system does not report changed files. */
const BLIND_WATCH_MS = 2000;

/** Returns the folder of boxes, unless the `state` option names another. */
export function defaultStateFolder(env: NodeJS.ProcessEnv): string {
  if (env["BOXRUN_STATE_DIR"]) return join(env["BOXRUN_STATE_DIR"], "local");
  return join(env["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "boxrun");
}

/** Creates a store in a folder. Each box has a folder of its own in "boxes", with its record, its history, its lock and its disk, a sparse file. */
export function folderStore(folder: string): BoxStore {
  return new FolderStore(resolve(folder));
}

class FolderStore implements BoxStore {
  readonly persistent = true;
  private readonly boxes: string;
  /** Folder of its own for one file to watch. Watching disks would report every write of every guest. */
  private readonly changes: string;

  constructor(private readonly root: string) {
    this.boxes = join(root, "boxes");
    this.changes = join(root, "changes");
  }

  list(): Promise<string[]> {
    return guarded(async () => {
      const names = await orMissing(readdir(this.boxes), []);
      // A leftover only takes space; a failure to remove it must not fail the list of boxes.
      const leftovers = names.filter((name) => name.startsWith(NEW) || name.startsWith(REMOVED));
      await Promise.allSettled(leftovers.map((name) => this.sweep(name)));
      return names.filter((name) => OWN_BOX_ID.test(name));
    });
  }

  create(id: string, record: object): Promise<Release> {
    return guarded(async () => {
      // Created under another name and then moved, so that nobody ever sees a box without its record and its lock.
      const draft = join(this.boxes, `${NEW}${id}`);
      await makePrivate(draft);
      let path = draft;
      let release: ((folder: string) => Promise<void>) | undefined;
      try {
        release = await takeFirstLock(draft);
        await writeFlushed(join(draft, RECORD), JSON.stringify(record));
        await flushFolder(draft);
        await rename(draft, this.boxFolder(id));
        path = this.boxFolder(id);
        await flushFolder(this.boxes);
      } catch (error) {
        await release?.(path).catch(() => {});
        await rm(path, { recursive: true, force: true }).catch(() => {});
        throw error;
      }
      await this.announce(id);
      const taken = release;
      return this.announcing(id, () => taken(this.boxFolder(id)));
    });
  }

  lock(id: string, options?: { brief: boolean }): Promise<Release | null> {
    return guarded(async () => {
      const release = await orMissing<Release | null>(takeLock(this.boxFolder(id), options), async () => {});
      // A leftover only takes space.
      if (release) await this.sweepDrafts(id).catch(() => {});
      return release && this.announcing(id, release);
    });
  }

  isLocked(id: string): Promise<boolean> {
    return guarded(() => orMissing(isLockHeld(this.boxFolder(id)), false));
  }

  lockOwner(id: string): Promise<LockOwner | undefined> {
    return describeLock(this.boxFolder(id));
  }

  async watch(onChange: () => void): Promise<() => void> {
    let timer: NodeJS.Timeout | undefined;
    const watchBlindly = () => {
      timer ??= setInterval(onChange, BLIND_WATCH_MS);
    };
    try {
      await makePrivate(this.changes);
      const watcher = watchFolder(this.changes, onChange).on("error", watchBlindly);
      return () => {
        watcher.close();
        clearInterval(timer);
      };
    } catch {
      // Too many files are watched, or none can be: a read-only folder is changed from elsewhere, if at all.
      watchBlindly();
      return () => clearInterval(timer);
    }
  }

  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return guarded(async () => {
      const names = join(this.root, "names");
      await makePrivate(names);
      const deadline = Date.now() + EXCLUSIVE_DEADLINE_MS;
      for (;;) {
        const release = await takeLock(names);
        if (release) return work().finally(release);
        if (Date.now() > deadline) {
          const { who, hint } = (await describeLock(names)) ?? { who: "another process", hint: undefined };
          throw new BoxRunError("BOX_LOCKED", `box names are locked by ${who}`, {
            retryable: true,
            ...(hint !== undefined && { hint }),
          });
        }
        await delay(EXCLUSIVE_RETRY_MS * (1 + Math.random()));
      }
    });
  }

  readRecord(id: string): Promise<unknown> {
    return guarded(async () => {
      const text = await orMissing(readFile(join(this.boxFolder(id), RECORD), "utf8"), undefined);
      return text === undefined ? undefined : fromJson(text);
    });
  }

  writeRecord(id: string, record: object): Promise<void> {
    return guarded(() => this.announced(id, this.replaceRecord(id, record)));
  }

  readHistory(id: string): Promise<unknown[]> {
    return guarded(async () => {
      const text = await orMissing(readFile(join(this.boxFolder(id), HISTORY), "utf8"), "");
      return text.split("\n").filter(Boolean).map(fromJson);
    });
  }

  /** Begins with a line break: the last line may be incomplete, after a kill or on a full disk. */
  appendHistory(id: string, entries: readonly object[]): Promise<void> {
    return guarded(() => appendFile(join(this.boxFolder(id), HISTORY), `\n${lines(entries)}`));
  }

  replaceHistory(id: string, entries: readonly object[]): Promise<void> {
    return guarded(() => replaceFile(join(this.boxFolder(id), HISTORY), lines(entries), writeFile));
  }

  diskLocation(id: string): string {
    return join(this.boxFolder(id), DISK);
  }

  diskUsage(id: string): Promise<number> {
    return guarded(async () => {
      const stats = await orMissing(stat(join(this.boxFolder(id), DISK)), undefined);
      // Unlike its size, blocks count the space that a sparse file takes. Windows has no such count.
      return stats === undefined ? 0 : process.platform === "win32" ? stats.size : stats.blocks * 512;
    });
  }

  keptDisk(): undefined {}

  keepDisk(): void {}

  remove(id: string): Promise<void> {
    return guarded(async () => {
      const folder = this.boxFolder(id);
      const grave = join(this.boxes, `${REMOVED}${basename(folder)}-${crypto.randomUUID()}`);
      // Renamed first, so that it is gone at once for everybody, however long removing its files takes.
      await orMissing(rename(folder, grave), undefined);
      await this.announce(id);
      await rm(grave, { recursive: true, force: true });
    });
  }

  /** Ids come from callers. Text that does not look like an id never names a folder. */
  private boxFolder(id: string): string {
    return join(this.boxes, OWN_BOX_ID.test(id) ? id : "none");
  }

  /**
   * Writes a record that also survives a power cut, whatever `durability` is: an older one could say that the box was never created, and whoever finds that
   * removes it with its disk. Everything that the folder was given before, the disk included, survives, too.
   */
  private async replaceRecord(id: string, record: object): Promise<void> {
    await replaceFile(join(this.boxFolder(id), RECORD), JSON.stringify(record), writeFlushed);
    await flushFolder(this.boxFolder(id));
  }

  /** Notifies watchers in other processes. They find out by themselves what has changed. */
  private async announce(id: string): Promise<void> {
    const last = join(this.changes, "last");
    try {
      await writeFile(last, id).catch(async (error) => {
        if (error.code !== "ENOENT") throw error;
        await makePrivate(this.changes);
        await writeFile(last, id);
      });
    } catch {
      // On a full disk, they learn about it with the next change.
    }
  }

  private async announced<T>(id: string, work: Promise<T>): Promise<T> {
    const result = await work;
    await this.announce(id);
    return result;
  }

  private announcing(id: string, release: () => Promise<void>): Release {
    return () => this.announced(id, release());
  }

  /** Removes leftovers of a killed process that was creating or removing a box. */
  private async sweep(name: string): Promise<void> {
    const path = join(this.boxes, name);
    if (!name.startsWith(REMOVED)) {
      // A creation may be in progress, which has no lock in its first moments.
      const { mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs < DRAFT_AGE_MS || (await isLockHeld(path))) return;
    }
    await rm(path, { recursive: true, force: true });
  }

  /** Removes leftovers of {@link replaceFile} from a killed process. The caller holds the lock, so nobody else writes. */
  private async sweepDrafts(id: string): Promise<void> {
    const folder = this.boxFolder(id);
    const names = await readdir(folder);
    const drafts = names.filter((name) => [RECORD, HISTORY].some((file) => name.startsWith(`${file}.`)));
    await Promise.all(drafts.map((name) => rm(join(folder, name), { force: true })));
  }
}

/** Replaces a file, so that readers see the old one or the new one, complete. `write` writes the new one. */
async function replaceFile(path: string, text: string, write: typeof writeFlushed): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    await write(draft, text);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileSystemError(error);
  }
}

async function orMissing<T>(promise: Promise<T>, missing: T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return missing;
    throw error;
  }
}

const lines = (entries: readonly object[]) =>
  entries.map((entry) => `${JSON.stringify(entry, encodeBytes)}\n`).join("");

function encodeBytes(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString("base64") } : value;
}

/**
 * Parses a line of the history; null when it is not JSON, as half a line after a kill. Only {@link HISTORY_BYTES} marks bytes, since an environment may look
 * the same.
 */
function fromJson(text: string): unknown {
  try {
    return JSON.parse(text, (key, value) => {
      const isBytes = key === HISTORY_BYTES && typeof value?.base64 === "string";
      return isBytes ? new Uint8Array(Buffer.from(value.base64, "base64")) : value;
    });
  } catch {
    return null;
  }
}
