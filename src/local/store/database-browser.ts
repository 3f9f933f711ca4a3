import type { UseStore } from "idb-keyval";
import { BoxRunError } from "../../backend/errors.js";
import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { within } from "../../util/within.js";

const STORE = "keyval";
/** Version for IndexedDB. The version of the contents is in the box's record. */
const DATABASE_VERSION = 1;

/**
 * Time for the browser to open or remove a database. A phone may take seconds to remove gigabytes. Anything longer waits for a page that hangs, which browsers
 * do without a limit.
 */
const DEADLINE_MS = 30_000;
/** After this long, Chromium will not answer any more. */
const ASK_AGAIN_MS = 1000;
/** Names of the errors of transactions that the browser aborts, for one reason or another. */
const CUT_OFF = ["AbortError", "UnknownError"];
/** Time within which a connection ends after its transactions. */
const CLOSE_MS = 1000;
const WITHIN = `within ${DEADLINE_MS / 1000} seconds`;

/** Size of the chunks in which a disk is stored, by number: small enough that scattered metadata costs little. */
export const DISK_CHUNK_BYTES = 64 * 1024;
/** Key range of all chunks of a disk: those with a number as key. */
export const DISK_KEYS = () => IDBKeyRange.bound(0, Number.MAX_SAFE_INTEGER);

/**
 * Lists the names of all databases of this site. Asks more than once, because Chromium may never answer a request that comes while it evicts the site's
 * storage.
 *
 * @throws {BoxRunError} RUNTIME_ERROR when the browser does not answer; other errors of the browser pass unchanged
 */
export async function databaseNames(): Promise<string[]> {
  for (let asked = 0; asked < DEADLINE_MS / ASK_AGAIN_MS; asked++) {
    const databases = await within(ASK_AGAIN_MS, indexedDB.databases());
    if (databases) return databases.map(({ name = "" }) => name);
  }
  throw new BoxRunError("RUNTIME_ERROR", `the browser did not list its databases ${WITHIN}`, {
    retryable: true,
  });
}

/** An open database of keys and values, for the functions of idb-keyval. */
export interface Database {
  use: UseStore;
  close(): void;
}

/**
 * Opens or creates a database. Undefined when it does not exist and `create` is false. Unlike the store of idb-keyval, this one can be closed, closes when
 * somebody removes the database, and sets the durability of a commit: "strict" waits for the device, which surviving a power cut needs.
 *
 * @throws {BoxRunError} STORAGE_FULL; STATE_MISMATCH for a database that is evicted meanwhile or of a newer version; RUNTIME_ERROR when the browser refuses for
 * another reason, or does not answer
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
        new BoxRunError("RUNTIME_ERROR", `the browser did not open the database ${name} ${WITHIN}`, {
          retryable: true,
          hint: "if another page of this site hangs, close it",
        }),
      );
    });
    request.onupgradeneeded = () => {
      missing = !create;
      // If it is opened too late, nobody waits for it any more, and it must not be created.
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
  /** Ends of the pending transactions, which Chromium never ends when it evicts a database. */
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
 * Resolves once all of a transaction is stored. Unlike promisifyRequest of idb-keyval it does not look at the transaction's error when a request fails: that
 * event reaches the transaction's listeners before the transaction has an error of its own.
 */
export function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    let failed: DOMException | null = null;
    transaction.onerror = ({ target }) => {
      failed ??= (target as IDBRequest).error;
    };
    transaction.oncomplete = () => resolve();
    transaction.onabort = () =>
      reject(transaction.error ?? failed ?? new DOMException("the transaction was aborted", "AbortError"));
  });
}

/**
 * Removes a database. Resolves when it is gone.
 *
 * @throws {BoxRunError} BOX_LOCKED when somebody else keeps it open; it is removed once they close it
 */
export function deleteDatabase(name: string): Promise<void> {
  const request = indexedDB.deleteDatabase(name);
  return new Promise((resolve, reject) => {
    const stop = startTimer(DEADLINE_MS, () =>
      reject(
        new BoxRunError("BOX_LOCKED", `another page did not release the database ${name} ${WITHIN}`, {
          retryable: true,
          hint: "close other pages of this site; it is removed then",
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

/** Creates the error for a database that no longer exists. */
export function goneError(name: string, options?: ErrorOptions): BoxRunError {
  return new BoxRunError(
    "STATE_MISMATCH",
    `the box is gone: the browser no longer has the database ${name}`,
    {
      hint: "browsers may evict a site's storage, unless the user lets it persist (navigator.storage.persist)",
      ...options,
    },
  );
}

/** Creates the error for a transaction that never gets its turn: WebKit never ends those of a Worker that was ended while it wrote. */
function stuckError(name: string): BoxRunError {
  return new BoxRunError(
    "RUNTIME_ERROR",
    `the browser did not read or write the database ${name} ${WITHIN}`,
    {
      retryable: true,
      hint: "close all pages of this site, then reopen them",
    },
  );
}

/** Converts an error of the browser's storage. */
function storageError(error: unknown): unknown {
  if (!(error instanceof DOMException)) return error;
  if (error.name === "QuotaExceededError") {
    return new BoxRunError("STORAGE_FULL", "the browser allows this site no more storage", {
      retryable: true,
      hint: "remove boxes, or free space on the device",
      cause: error,
    });
  }
  if (error.name === "VersionError") {
    return new BoxRunError("STATE_MISMATCH", "the box was made by a newer version of boxrun", {
      hint: "update boxrun",
      cause: error,
    });
  }
  return new BoxRunError("RUNTIME_ERROR", `the browser's storage failed: ${error.message}`, { cause: error });
}
