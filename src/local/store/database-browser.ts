import type { UseStore } from "idb-keyval";
import { BoxRunError } from "../../backend/errors.js";
import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { within } from "../../util/within.js";

const STORE = "keyval";
/** Of IndexedDB's own counting; what is in a database has its version in the box's record. */
const DATABASE_VERSION = 1;

/** A phone may take seconds to remove gigabytes. What takes longer waits for a page that does not move: browsers wait for those without an end. */
const DEADLINE_MS = 30_000;
/** An answer that Chromium owes for this long does not come. */
const ASK_AGAIN_MS = 1000;
/** Names of the errors of transactions that the browser cuts off, for this reason or another. */
const CUT_OFF = ["AbortError", "UnknownError"];
/** A connection that ends does so soon after its transactions. */
const CLOSE_MS = 1000;
const WITHIN = `within ${DEADLINE_MS / 1000} seconds`;

/** A disk is in its box's database by chunks of this size, by number; small enough that scattered metadata costs little. */
export const DISK_CHUNK_BYTES = 64 * 1024;
/** All chunks of a disk: what has a number for its key. */
export const DISK_KEYS = () => IDBKeyRange.bound(0, Number.MAX_SAFE_INTEGER);

/**
 * Names of all databases of this site. Asks more than once: Chromium forgets to answer who asks while it evicts what the site stores.
 *
 * Throws RUNTIME_ERROR when the browser does not come to it; what the browser refuses with, as it is.
 */
export async function databaseNames(): Promise<string[]> {
  for (let asked = 0; asked < DEADLINE_MS / ASK_AGAIN_MS; asked++) {
    const databases = await within(ASK_AGAIN_MS, indexedDB.databases());
    if (databases) return databases.map(({ name = "" }) => name);
  }
  throw new BoxRunError("RUNTIME_ERROR", `the browser has not said ${WITHIN} which databases there are`, {
    retryable: true,
  });
}

/** An open database of keys and values, for idb-keyval's functions. */
export interface Database {
  use: UseStore;
  close(): void;
}

/**
 * Opens a database, or makes it. Undefined when it is not there and `create` is false. Unlike idb-keyval's own store, this one can be closed, lets go when
 * somebody removes the database, and says how durable a commit is: "strict" waits for the device, which a power cut needs.
 *
 * Throws STORAGE_FULL, STATE_MISMATCH for a database that is evicted meanwhile or of a newer version, RUNTIME_ERROR for what else the browser refuses or
 * does not come to.
 */
export async function openDatabase(
  name: string,
  { create, durability }: { create: boolean; durability: "relaxed" | "strict" },
): Promise<Database | undefined> {
  let missing = false;
  let late = false;
  const opened = new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name, DATABASE_VERSION);
    const stop = startTimer(DEADLINE_MS, () => {
      late = true;
      reject(
        new BoxRunError("RUNTIME_ERROR", `the browser has not opened the database ${name} ${WITHIN}`, {
          retryable: true,
          hint: "if another page of this site hangs, close it",
        }),
      );
    });
    request.onupgradeneeded = () => {
      missing = !create;
      // Nobody waits for one that comes late: it would be there, and nobody's.
      if (missing || late) request.transaction?.abort();
      else request.result.createObjectStore(STORE);
    };
    request.onsuccess = () => {
      stop();
      if (late) request.result.close();
      else resolve(request.result);
    };
    request.onerror = () => {
      stop();
      reject(request.error);
    };
  });
  let database: IDBDatabase;
  try {
    database = await opened;
  } catch (error) {
    if (missing && !late) return undefined;
    throw storageError(error);
  }
  let removed = false;
  /** Ends of the transactions under way: Chromium forgets those that are when it evicts a database. */
  const waiting = new Set<Deferred<never>>();
  const closed = deferred<true>();
  database.onclose = () => {
    removed = true;
    closed.resolve(true);
    for (const transaction of waiting) transaction.reject(new DOMException("closed", "InvalidStateError"));
  };
  database.onversionchange = () => {
    removed = true;
    database.close();
  };
  const use: UseStore = async (mode, callback) => {
    const givenUp = deferred<never>();
    waiting.add(givenUp);
    const stop = startTimer(DEADLINE_MS, () => givenUp.reject(stuckError(name)));
    try {
      const store = database.transaction(STORE, mode, { durability }).objectStore(STORE);
      return await Promise.race([callback(store), givenUp.promise]);
    } catch (error) {
      // Its owner closes it last of all: a connection that has ended before was ended by the browser. Of transactions that it cuts off it tells before that.
      const { name: kind } = error as DOMException;
      const isCut = CUT_OFF.includes(kind) && (await within(CLOSE_MS, closed.promise)) === true;
      const ended = removed || isCut || kind === "InvalidStateError";
      throw ended ? goneError(name, { cause: error }) : storageError(error);
    } finally {
      stop();
      waiting.delete(givenUp);
    }
  };
  return { use, close: () => database.close() };
}

/**
 * Resolves once all of a transaction is stored. Unlike idb-keyval's promisifyRequest it does not look at the transaction's error when a request fails: that
 * comes to the transaction's listeners before the transaction has an error of its own.
 */
export function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    let failed: DOMException | null = null;
    transaction.onerror = ({ target }) => {
      failed ??= (target as IDBRequest).error;
    };
    transaction.oncomplete = () => resolve();
    transaction.onabort = () =>
      reject(transaction.error ?? failed ?? new DOMException("the transaction was cut off", "AbortError"));
  });
}

/**
 * Removes a database. Resolves when it is gone.
 *
 * Throws BOX_LOCKED when that does not come, since somebody has it open who should let go of it; once they do, it goes.
 */
export function deleteDatabase(name: string): Promise<void> {
  const request = indexedDB.deleteDatabase(name);
  return new Promise((resolve, reject) => {
    const stop = startTimer(DEADLINE_MS, () =>
      reject(
        new BoxRunError("BOX_LOCKED", `another page has not let go of the database ${name} ${WITHIN}`, {
          retryable: true,
          hint: "close other pages of this site: it is removed then",
        }),
      ),
    );
    request.onsuccess = () => {
      stop();
      resolve();
    };
    request.onerror = () => {
      stop();
      reject(storageError(request.error));
    };
  });
}

/** The error of a database that is not there any more. */
export function goneError(name: string, options?: ErrorOptions): BoxRunError {
  return new BoxRunError("STATE_MISMATCH", `the box is gone: the browser has no database ${name} any more`, {
    hint: "browsers may evict what a site stores, unless its user lets it stay (navigator.storage.persist)",
    ...options,
  });
}

/** One transaction waits for the one before it. WebKit never ends those of a Worker that was ended while it wrote. */
function stuckError(name: string): BoxRunError {
  return new BoxRunError(
    "RUNTIME_ERROR",
    `the browser has not read or written the database ${name} ${WITHIN}`,
    {
      retryable: true,
      hint: "close all pages of this site, and open them again",
    },
  );
}

/** What a browser's storage refuses, as an error of ours. */
function storageError(error: unknown): unknown {
  if (!(error instanceof DOMException)) return error;
  if (error.name === "QuotaExceededError") {
    return new BoxRunError("STORAGE_FULL", "the browser gives this site no more storage", {
      retryable: true,
      hint: "remove boxes, or free space on the device",
      cause: error,
    });
  }
  if (error.name === "VersionError") {
    return new BoxRunError("STATE_MISMATCH", "the box was made by a newer version of boxrun", {
      hint: "update this one",
      cause: error,
    });
  }
  return new BoxRunError("RUNTIME_ERROR", `the browser's storage failed: ${error.message}`, { cause: error });
}
