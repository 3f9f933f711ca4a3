import { get, promisifyRequest } from "idb-keyval";
import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import { OWN_BOX_ID } from "../../util/ids.js";
import type { BoxStore, KeptFolder, LockOwner, Release } from "./box-store.js";
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
const FOLDERS = "folders";
const HISTORY_PREFIX = "exec:";
/** Character after the last one of the prefix, at which its range of keys ends. */
const HISTORY_END = "exec;";
const SEQUENCE_DIGITS = 12;
/** Length at which a title is cut, since it may be a page of text. */
const MAX_TITLE_LENGTH = 80;

/** Creates a store in IndexedDB, with a database for each box; or in memory if the page can store nothing, for which the store gives the reason. */
export async function browserStore(prefix: string): Promise<BoxStore> {
  if (!isSecureContext || !("locks" in navigator)) {
    return memoryStore("this page is not served over https or from localhost, so boxes end with it");
  }
  try {
    await databaseNames();
  } catch (error) {
    if (isBoxRunError(error)) throw error;
    return memoryStore(`the browser does not let this page store data (${(error as Error).message})`);
  }
  return new DatabaseStore(prefix);
}

class DatabaseStore implements BoxStore {
  readonly persistent = true;
  /** Open databases of the boxes that are locked here: opening one takes longer than most operations on it. */
  private readonly open = new Map<string, Database>();
  /** Channel on which stores notify the watchers of all pages. They find out by themselves what has changed. */
  private channel: BroadcastChannel | undefined;

  constructor(private readonly prefix: string) {}

  async list(): Promise<string[]> {
    const names = await databaseNames();
    const own = names.filter((name) => name.startsWith(`${this.prefix}:`));
    return own.map((name) => name.slice(this.prefix.length + 1)).filter((id) => OWN_BOX_ID.test(id));
  }

  async create(id: string, record: object): Promise<Release> {
    const release = await this.lock(id);
    if (!release) throw new Error(`new box ${id} already has an owner`);
    try {
      const database = await openDatabase(this.databaseName(id), { create: true, durability: "relaxed" });
      await put(database!, record);
      this.open.set(id, database!);
      this.announce(id);
      return release;
    } catch (error) {
      await deleteDatabase(this.databaseName(id)).catch(() => {});
      await release();
      throw error;
    }
  }

  /** One page can only see the names of another's locks, so each box's lock comes with one that names its owner. */
  lock(id: string, { brief } = { brief: false }): Promise<Release | null> {
    const taken = deferred<Release | null>();
    const released = deferred();
    const options = { ifAvailable: true } as const;
    const held = navigator.locks.request(this.databaseName(id), options, async (granted) => {
      if (!granted) return taken.resolve(null);
      await navigator.locks.request(this.ownerPrefix(id) + describePage(brief), () => {
        taken.resolve(async () => {
          this.closeDatabase(id);
          released.resolve();
          await held;
          this.announce(id);
        });
        return released.promise;
      });
    });
    held.catch(taken.reject);
    return taken.promise;
  }

  async isLocked(id: string): Promise<boolean> {
    const { held = [] } = await navigator.locks.query();
    return held.some(({ name }) => name === this.databaseName(id));
  }

  async lockOwner(id: string): Promise<LockOwner | undefined> {
    const prefix = this.ownerPrefix(id);
    const { held = [] } = await navigator.locks.query();
    const owner = held.find(({ name }) => name?.startsWith(prefix));
    return owner && readOwner(owner.name!.slice(prefix.length));
  }

  async watch(onChange: () => void): Promise<() => void> {
    const listened = this.openChannel();
    listened.addEventListener("message", onChange);
    return () => listened.removeEventListener("message", onChange);
  }

  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return withWebLock(
      `${this.prefix}:names`,
      work,
      () =>
        new BoxRunError("BOX_LOCKED", "box names are locked by another page", {
          retryable: true,
          hint: "if a page of this site hangs, close it",
        }),
    );
  }

  readRecord(id: string): Promise<unknown> {
    return this.withDatabase<unknown>(id, undefined, ({ use }) => get(RECORD, use));
  }

  async writeRecord(id: string, record: object): Promise<void> {
    await this.withDatabase(id, undefined, (database) => put(database, record));
    this.announce(id);
  }

  readHistory(id: string): Promise<unknown[]> {
    return this.withDatabase<unknown[]>(id, [], ({ use }) =>
      use("readonly", (store) => promisifyRequest(store.getAll(historyRange()))),
    );
  }

  appendHistory(id: string, entries: readonly object[]): Promise<void> {
    return this.withDatabase(id, undefined, (database) => append(database, entries));
  }

  replaceHistory(id: string, entries: readonly object[]): Promise<void> {
    return this.withDatabase(id, undefined, (database) => append(database, entries, { alone: true }));
  }

  async keepFolders(id: string, folders: readonly KeptFolder[]): Promise<void> {
    // A browser that cannot keep handles is one where a start needs them again.
    await this.withDatabase(id, undefined, (database) => put(database, folders, FOLDERS)).catch(() => {});
  }

  readFolders(id: string): Promise<unknown> {
    return this.withDatabase<unknown>(id, undefined, ({ use }) => get(FOLDERS, use));
  }

  diskLocation(id: string): string {
    return this.databaseName(id);
  }

  diskUsage(id: string): Promise<number> {
    return this.withDatabase(id, 0, diskBytes);
  }

  keptDisk(): undefined {}

  keepDisk(): void {}

  async remove(id: string): Promise<void> {
    this.closeDatabase(id);
    await deleteDatabase(this.databaseName(id));
    this.announce(id);
  }

  private databaseName(id: string): string {
    return `${this.prefix}:${id}`;
  }

  private ownerPrefix(id: string): string {
    return `${this.databaseName(id)}:owner:`;
  }

  private async withDatabase<T>(
    id: string,
    missing: T,
    work: (database: Database) => Promise<T>,
  ): Promise<T> {
    const kept = this.open.get(id);
    if (kept) return work(kept);
    const database = await openDatabase(this.databaseName(id), { create: false, durability: "relaxed" });
    if (!database) return missing;
    try {
      return await work(database);
    } finally {
      database.close();
    }
  }

  private closeDatabase(id: string): void {
    this.open.get(id)?.close();
    this.open.delete(id);
  }

  private openChannel(): BroadcastChannel {
    this.channel ??= new BroadcastChannel(`${this.prefix}:changes`);
    return this.channel;
  }

  private announce(id: string): void {
    this.openChannel().postMessage(id);
  }
}

function put(database: Database, value: object, key = RECORD): Promise<void> {
  return database.use("readwrite", (store) => {
    store.put(value, key);
    return committed(store.transaction);
  });
}

function append(database: Database, entries: readonly object[], { alone = false } = {}): Promise<void> {
  return database.use("readwrite", (store) => {
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
