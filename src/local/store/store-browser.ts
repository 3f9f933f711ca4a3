import { get, promisifyRequest } from "idb-keyval";
import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import { OWN_BOX_ID } from "../../util/ids.js";
import type { BoxStore, LockOwner, Release } from "./box-store.js";
import {
  committed,
  type Database,
  DISK_CHUNK_BYTES,
  DISK_KEYS,
  databaseNames,
  deleteDatabase,
  openDatabase,
} from "./database-browser.js";
import { memoryStore } from "./store-memory.js";
import { withWebLock } from "./web-lock-browser.js";

/** Keys in a box's database; those of its disk are numbers (disk-database-browser.ts). */
const RECORD = "box";
const HISTORY_PREFIX = "exec:";
/** Character after the last one of the prefix, at which its range of keys ends. */
const HISTORY_END = "exec;";
const SEQUENCE_DIGITS = 12;
/** Length at which a title is cut, since it may be a page of text. */
const MAX_TITLE_LENGTH = 80;

/** Creates a store in IndexedDB, with a database for each box; or in memory if the page can store nothing, for which the store gives the reason. */
export async function browserStore(prefix: string): Promise<BoxStore> {
  if (!isSecureContext || !("locks" in navigator)) {
    return memoryStore("this page is not served over https, or from localhost: boxes end with it");
  }
  try {
    await databaseNames();
  } catch (error) {
    if (isBoxRunError(error)) throw error;
    return memoryStore(`the browser refuses storage to this page (${(error as Error).message})`);
  }
  return databaseStore(prefix);
}

/** See {@link browserStore}. */
function databaseStore(prefix: string): BoxStore {
  const databaseName = (id: string) => `${prefix}:${id}`;
  /** Open databases of the boxes that are locked here: opening one takes longer than most operations on it. */
  const open = new Map<string, Database>();
  const withDatabase = async <T>(id: string, missing: T, work: (database: Database) => Promise<T>) => {
    const kept = open.get(id);
    if (kept) return work(kept);
    const database = await openDatabase(databaseName(id), { create: false, durability: "relaxed" });
    if (!database) return missing;
    try {
      return await work(database);
    } finally {
      database.close();
    }
  };
  const closeDatabase = (id: string) => {
    open.get(id)?.close();
    open.delete(id);
  };

  /** Channel on which stores notify the watchers of all pages. They find out by themselves what has changed. */
  let channel: BroadcastChannel | undefined;
  const openChannel = () => {
    channel ??= new BroadcastChannel(`${prefix}:changes`);
    return channel;
  };
  const announce = (id: string) => openChannel().postMessage(id);

  /** One page can only see the names of another's locks, so each box's lock comes with one that names its owner. */
  const ownerPrefix = (id: string) => `${databaseName(id)}:owner:`;
  const lock = (id: string, { brief } = { brief: false }): Promise<Release | null> => {
    const taken = deferred<Release | null>();
    const released = deferred();
    const options = { ifAvailable: true } as const;
    const held = navigator.locks.request(databaseName(id), options, async (granted) => {
      if (!granted) return taken.resolve(null);
      await navigator.locks.request(ownerPrefix(id) + describePage(brief), () => {
        taken.resolve(async () => {
          closeDatabase(id);
          released.resolve();
          await held;
          announce(id);
        });
        return released.promise;
      });
    });
    held.catch(taken.reject);
    return taken.promise;
  };

  const put = (database: Database, record: object) =>
    database.use("readwrite", (store) => {
      store.put(record, RECORD);
      return committed(store.transaction);
    });

  const append = (database: Database, entries: readonly object[], { alone = false } = {}) =>
    database.use("readwrite", (store) => {
      // In one transaction: after an interruption there are all of the old entries, or all of the new.
      if (alone) store.delete(historyRange());
      const last = store.openKeyCursor(historyRange(), "prev");
      last.onsuccess = () => {
        let number = last.result ? Number(String(last.result.key).slice(HISTORY_PREFIX.length)) : 0;
        for (const entry of entries) {
          store.put(entry, `${HISTORY_PREFIX}${String(++number).padStart(SEQUENCE_DIGITS, "0")}`);
        }
      };
      return committed(store.transaction);
    });

  return {
    persistent: true,

    list: async () => {
      const ids = (await databaseNames())
        .filter((name) => name.startsWith(`${prefix}:`))
        .map((name) => name.slice(prefix.length + 1));
      return ids.filter((id) => OWN_BOX_ID.test(id));
    },

    create: async (id, record) => {
      const release = await lock(id);
      if (!release) throw new Error(`${id} is new and has an owner`);
      try {
        const database = await openDatabase(databaseName(id), { create: true, durability: "relaxed" });
        await put(database!, record);
        open.set(id, database!);
        announce(id);
        return release;
      } catch (error) {
        await deleteDatabase(databaseName(id)).catch(() => {});
        await release();
        throw error;
      }
    },

    lock,
    isLocked: async (id) => {
      const { held = [] } = await navigator.locks.query();
      return held.some(({ name }) => name === databaseName(id));
    },
    lockOwner: async (id) => {
      const { held = [] } = await navigator.locks.query();
      const owner = held.find(({ name }) => name?.startsWith(ownerPrefix(id)));
      return owner && readOwner(owner.name!.slice(ownerPrefix(id).length));
    },
    watch: async (onChange) => {
      const listened = openChannel();
      listened.addEventListener("message", onChange);
      return () => listened.removeEventListener("message", onChange);
    },
    exclusively: (work) =>
      withWebLock(
        `${prefix}:names`,
        work,
        () =>
          new BoxRunError("BOX_LOCKED", "the names of boxes are held by another page", {
            retryable: true,
            hint: "if a page of this site hangs, close it",
          }),
      ),

    readRecord: (id) => withDatabase<unknown>(id, undefined, ({ use }) => get(RECORD, use)),
    writeRecord: async (id, record) => {
      await withDatabase(id, undefined, (database) => put(database, record));
      announce(id);
    },

    readHistory: (id) =>
      withDatabase<unknown[]>(id, [], ({ use }) =>
        use("readonly", (store) => promisifyRequest(store.getAll(historyRange()))),
      ),
    appendHistory: (id, entries) => withDatabase(id, undefined, (database) => append(database, entries)),
    replaceHistory: (id, entries) =>
      withDatabase(id, undefined, (database) => append(database, entries, { alone: true })),

    diskLocation: databaseName,
    diskUsage: (id) => withDatabase(id, 0, diskBytes),
    keptDisk: () => undefined,
    keepDisk: () => {},

    remove: async (id) => {
      closeDatabase(id);
      await deleteDatabase(databaseName(id));
      announce(id);
    },
  };
}

/** Describes this page for people, with the time. Parts of its address that may hold secrets are left out. */
function describePage(brief: boolean): string {
  const title = globalThis.document?.title.slice(0, MAX_TITLE_LENGTH) ?? "";
  return JSON.stringify({
    since: Date.now(),
    title,
    address: location.origin + location.pathname,
    ...(brief && { brief }),
  });
}

/** Parses the result of {@link describePage}, which another version may have written. */
function readOwner(text: string): LockOwner | undefined {
  try {
    const { since, title, address, brief } = JSON.parse(text);
    const who = `the page ${title ? `"${title}" at ` : ""}${address}`;
    const time = Number.isSafeInteger(since) ? new Date(since) : null;
    // A page that was just left, by a reload, releases its lock a moment after the next one has begun.
    const isPassing = brief === true || address === location.origin + location.pathname;
    return { who, since: time, ...(isPassing && { brief: true }) };
  } catch {
    return undefined;
  }
}

const historyRange = () => IDBKeyRange.bound(HISTORY_PREFIX, HISTORY_END);

/** Returns the size of a disk. Every chunk has a number as its key, and all have one size. */
async function diskBytes({ use }: Database): Promise<number> {
  const count = await use("readonly", (store) => promisifyRequest(store.count(DISK_KEYS())));
  return count * DISK_CHUNK_BYTES;
}
