import { watch as watchFolder } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BoxRunError } from "../../backend/errors.js";
import { OWN_BOX_ID } from "../../util/ids.js";
import type { BoxStore, Release } from "./box-store.js";
import { fileSystemError } from "./failures-node.js";
import { flushFolder, writeFlushed } from "./flush-node.js";
import { describeLock, isLockHeld, takeFirstLock, takeLock } from "./lock-file-node.js";

const RECORD = "box.json";
const HISTORY = "history.jsonl";
const DISK = "disk";
/** The key of what is stored as base64. */
const HISTORY_BYTES = "bytes";
/** Names of folders that are not boxes yet, and that are none any more. */
const NEW = ".new-";
const REMOVED = ".removed-";
const DRAFT_AGE_MS = 60_000;
/** Environments and outputs of commands are in it, secrets among them: its owner's alone. */
const PRIVATE = { recursive: true, mode: 0o700 } as const;
/** Names are looked through in milliseconds: who waits longer than this waits for a process that does not move. */
const EXCLUSIVE_DEADLINE_MS = 10_000;
const EXCLUSIVE_RETRY_MS = 5;
/** Between two hints where the system does not tell of changed files. */
const BLIND_WATCH_MS = 2000;

/** Where boxes are kept unless the `state` option says so. */
export function defaultStateFolder(env: NodeJS.ProcessEnv): string {
  if (env["BOXRUN_STATE_DIR"]) return join(env["BOXRUN_STATE_DIR"], "local");
  return join(env["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "boxrun");
}

/** Boxes in a folder: each has one of its own in "boxes", with its record, its history, its lock and its disk, a sparse file. */
export function folderStore(folder: string): BoxStore {
  const root = resolve(folder);
  const boxes = join(root, "boxes");
  // Ids come from callers: one that is not shaped like an id is no box, whatever path it would be.
  const boxFolder = (id: string) => join(boxes, OWN_BOX_ID.test(id) ? id : "none");

  /** Readers see the old file or the new one, whole. `write` makes the new one. */
  const replaceFile = async (path: string, text: string, write: typeof writeFlushed) => {
    const draft = `${path}.${crypto.randomUUID()}`;
    try {
      await write(draft, text);
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true }).catch(() => {});
      throw error;
    }
  };

  /**
   * After a power cut, too, whatever `durability` is: a record from before would say of a box that it was never made, and who finds that removes it with
   * its disk. What its folder was given before is there as well: the disk.
   */
  const replaceRecord = async (id: string, record: object) => {
    await replaceFile(join(boxFolder(id), RECORD), JSON.stringify(record), writeFlushed);
    await flushFolder(boxFolder(id));
  };

  /** In a folder of its own: one file to watch, where disks would tell of every write of every guest. */
  const changes = join(root, "changes");
  /** Lets watchers in other processes know. They look by themselves at what it is. */
  const announce = async (id: string) => {
    try {
      await writeFile(join(changes, "last"), id).catch(async (error) => {
        if (error.code !== "ENOENT") throw error;
        await mkdir(changes, PRIVATE);
        await writeFile(join(changes, "last"), id);
      });
    } catch {
      // On a full disk they are told of the next change.
    }
  };
  const announced = async <T>(id: string, work: Promise<T>): Promise<T> => {
    const result = await work;
    await announce(id);
    return result;
  };
  const announcing = (id: string, release: () => Promise<void>) => () => announced(id, release());

  /** Removes what a process that was killed has left of a box that it made or removed. */
  const sweep = async (name: string) => {
    const path = join(boxes, name);
    if (!name.startsWith(REMOVED)) {
      // Its maker may be at it, and has no lock to show in its first moments.
      const { mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs < DRAFT_AGE_MS || (await isLockHeld(path))) return;
    }
    await rm(path, { recursive: true, force: true });
  };

  /** Removes what {@link replaceFile} has left where its process was killed. The caller holds the lock: nobody else writes. */
  const sweepDrafts = async (id: string) => {
    const names = await readdir(boxFolder(id));
    const drafts = names.filter((name) => [RECORD, HISTORY].some((file) => name.startsWith(`${file}.`)));
    await Promise.all(drafts.map((name) => rm(join(boxFolder(id), name), { force: true })));
  };

  return {
    persistent: true,

    list: () =>
      guarded(async () => {
        const names = await orMissing(readdir(boxes), []);
        // A leftover costs space and nothing else: who lists boxes need not hear of one that stays.
        const leftovers = names.filter((name) => name.startsWith(NEW) || name.startsWith(REMOVED));
        await Promise.allSettled(leftovers.map(sweep));
        return names.filter((name) => OWN_BOX_ID.test(name));
      }),

    create: (id, record) =>
      guarded(async () => {
        // Made under another name and then moved: nobody ever sees a box without its record and its lock.
        const draft = join(boxes, `${NEW}${id}`);
        await mkdir(draft, PRIVATE);
        let path = draft;
        let release: ((folder: string) => Promise<void>) | undefined;
        try {
          release = await takeFirstLock(draft);
          await writeFlushed(join(draft, RECORD), JSON.stringify(record));
          await flushFolder(draft);
          await rename(draft, boxFolder(id));
          path = boxFolder(id);
          await flushFolder(boxes);
        } catch (error) {
          await release?.(path).catch(() => {});
          await rm(path, { recursive: true, force: true }).catch(() => {});
          throw error;
        }
        await announce(id);
        const taken = release;
        return announcing(id, () => taken(boxFolder(id)));
      }),

    lock: (id, options) =>
      guarded(async () => {
        const release = await orMissing<Release | null>(takeLock(boxFolder(id), options), async () => {});
        // A leftover costs space and nothing else.
        if (release) await sweepDrafts(id).catch(() => {});
        return release && announcing(id, release);
      }),
    isLocked: (id) => guarded(() => orMissing(isLockHeld(boxFolder(id)), false)),
    lockOwner: (id) => describeLock(boxFolder(id)),
    watch: async (onChange) => {
      let timer: NodeJS.Timeout | undefined;
      const watchBlindly = () => {
        timer ??= setInterval(onChange, BLIND_WATCH_MS);
      };
      try {
        await mkdir(changes, PRIVATE);
        const watcher = watchFolder(changes, onChange).on("error", watchBlindly);
        return () => {
          watcher.close();
          clearInterval(timer);
        };
      } catch {
        // Too many are watched, or nothing can be: a read-only folder changes from elsewhere, if at all.
        watchBlindly();
        return () => clearInterval(timer);
      }
    },

    exclusively: (work) =>
      guarded(async () => {
        const names = join(root, "names");
        await mkdir(names, PRIVATE);
        const deadline = Date.now() + EXCLUSIVE_DEADLINE_MS;
        for (;;) {
          const release = await takeLock(names);
          if (release) return work().finally(release);
          if (Date.now() > deadline) {
            const { who, hint } = (await describeLock(names)) ?? { who: "another process", hint: undefined };
            throw new BoxRunError("BOX_LOCKED", `the names of boxes are held by ${who}`, {
              retryable: true,
              ...(hint !== undefined && { hint }),
            });
          }
          await delay(EXCLUSIVE_RETRY_MS * (1 + Math.random()));
        }
      }),

    readRecord: (id) =>
      guarded(async () => {
        const text = await orMissing(readFile(join(boxFolder(id), RECORD), "utf8"), undefined);
        return text === undefined ? undefined : fromJson(text);
      }),
    writeRecord: (id, record) => guarded(() => announced(id, replaceRecord(id, record))),

    readHistory: (id) =>
      guarded(async () => {
        const text = await orMissing(readFile(join(boxFolder(id), HISTORY), "utf8"), "");
        return text.split("\n").filter(Boolean).map(fromJson);
      }),
    // On a line of its own: the last one may have been cut off, by a kill or a full disk.
    appendHistory: (id, entries) =>
      guarded(() => appendFile(join(boxFolder(id), HISTORY), `\n${lines(entries)}`)),
    replaceHistory: (id, entries) =>
      guarded(() => replaceFile(join(boxFolder(id), HISTORY), lines(entries), writeFile)),

    diskLocation: (id) => join(boxFolder(id), DISK),
    diskUsage: (id) =>
      guarded(async () => {
        const stats = await orMissing(stat(join(boxFolder(id), DISK)), undefined);
        // Unlike its size, blocks count what a sparse file takes; Windows has no such count.
        return stats === undefined ? 0 : process.platform === "win32" ? stats.size : stats.blocks * 512;
      }),
    keptDisk: () => undefined,
    keepDisk: () => {},

    remove: (id) =>
      guarded(async () => {
        const grave = join(boxes, `${REMOVED}${basename(boxFolder(id))}-${crypto.randomUUID()}`);
        // Gone at once for everybody, however long its files take.
        await orMissing(rename(boxFolder(id), grave), undefined);
        await announce(id);
        await rm(grave, { recursive: true, force: true });
      }),
  };
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

/** Null for what is not JSON: half a line, after a kill. Bytes are only where {@link HISTORY_BYTES} says: an environment may look the same. */
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
