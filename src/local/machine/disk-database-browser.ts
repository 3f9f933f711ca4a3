import { getMany, promisifyRequest } from "idb-keyval";
import { BoxRunError } from "../../backend/errors.js";
import {
  committed,
  type Database,
  DISK_CHUNK_BYTES,
  DISK_KEYS,
  goneError,
  openDatabase,
} from "../store/database-browser.js";
import { holdWebLock } from "../store/web-lock-browser.js";
import { BOX_DISK_BYTES, type Extent, eachChunk, type StoredDisk } from "./disk.js";

/** Number of chunks that are kept in memory, 32 MB, so that a small write need not read the rest of its chunk first. */
const CACHED_CHUNKS = 512;

/**
 * Opens a disk in the chunks of its box's database. Every write is one transaction, and is acknowledged once that has completed: data that the guest was told
 * is durable is in the database whatever happens to the page then, and the stored data is always a prefix of the written data.
 *
 * While open, the disk has a lock of its own: the box's lock belongs to the page, which may end a moment before the last write of its Worker is done.
 *
 * @throws {BoxRunError} STATE_MISMATCH when the database is gone, BOX_LOCKED when another Worker does not close it
 */
export async function openDatabaseDisk(
  name: string,
  { bytes, durability }: { bytes: number; durability: "relaxed" | "strict" },
): Promise<StoredDisk> {
  const release = await holdWebLock(`${name}:disk`, () => stillOpen(name));
  try {
    const database = await openDatabase(name, { create: false, durability });
    if (!database) throw goneError(name);
    const keys = await database.use("readonly", (store) => promisifyRequest(store.getAllKeys(DISK_KEYS())));
    return new DatabaseDisk(database, release, new Set(keys as number[]), bytes);
  } catch (error) {
    await release();
    throw error;
  }
}

function stillOpen(name: string): BoxRunError {
  return new BoxRunError(
    "BOX_LOCKED",
    `the box's disk in the database ${name} is still open in the previous Worker`,
    { retryable: true, hint: "if a page of this site hangs, close it" },
  );
}

class DatabaseDisk implements StoredDisk {
  readonly byteLength = BOX_DISK_BYTES;
  /** Chunks in order of use, the latest last. */
  private readonly cached = new Map<number, Uint8Array>();
  private before: Promise<unknown> = Promise.resolve();
  private lastCommit: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly database: Database,
    private readonly release: () => Promise<void>,
    /** Numbers of the chunks that are in the database; all others are zero. */
    private readonly stored: Set<number>,
    private readonly limitBytes: number,
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    const numbers: number[] = [];
    eachChunk(DISK_CHUNK_BYTES, offset, length, (number) => numbers.push(number));
    const chunks = await this.inOrder(() => this.load(numbers));
    eachChunk(DISK_CHUNK_BYTES, offset, length, (number, start, end, at) => {
      const chunk = chunks.get(number);
      if (chunk) bytes.set(chunk.subarray(start, end), at);
    });
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.writeAll([{ offset, bytes }]);
  }

  async writeAll(extents: readonly Extent[]): Promise<void> {
    const { commit } = await this.inOrder(() => this.change(extents));
    await commit;
  }

  async close(): Promise<void> {
    await this.inOrder(async () => {});
    await this.lastCommit;
    this.database.close();
    await this.release();
  }

  /**
   * Runs `work` when all earlier operations have read and changed the chunks that they need; their commits may be pending. If a chunk were read before another
   * operation wrote to it, and changed or kept after that, the write would be undone.
   */
  private inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.before.then(work);
    this.before = done.catch(() => {});
    return done;
  }

  private async change(extents: readonly Extent[]): Promise<{ commit: Promise<void> }> {
    const partial = new Set<number>();
    // Only a hostile guest writes beyond the file system.
    const inside = extents.filter(({ offset, bytes }) => offset + bytes.byteLength <= this.limitBytes);
    for (const { offset, bytes } of inside) {
      eachChunk(DISK_CHUNK_BYTES, offset, bytes.byteLength, (number, start, end) => {
        if (end - start < DISK_CHUNK_BYTES) partial.add(number);
      });
    }
    const before = await this.load([...partial]);
    const changed = new Map<number, Uint8Array>();
    for (const { offset, bytes } of inside) {
      eachChunk(DISK_CHUNK_BYTES, offset, bytes.byteLength, (number, start, end, at) => {
        const chunk = changed.get(number) ?? before.get(number)?.slice() ?? new Uint8Array(DISK_CHUNK_BYTES);
        chunk.set(bytes.subarray(at, at + end - start), start);
        changed.set(number, chunk);
      });
    }
    // Reads see it at once. If the commit fails, the machine ends and nobody reads any more.
    for (const [number, chunk] of changed) {
      this.stored.add(number);
      this.cache(number, chunk);
    }
    const commit = this.database.use("readwrite", (store) => {
      for (const [number, chunk] of changed) store.put(chunk, number);
      // No request follows, so the browser need not wait for one.
      store.transaction.commit();
      return committed(store.transaction);
    });
    this.lastCommit = commit.catch(() => {});
    return { commit };
  }

  /** Returns the chunks among these that are not zero. */
  private async load(numbers: readonly number[]): Promise<Map<number, Uint8Array>> {
    const wanted = numbers.filter((number) => this.stored.has(number));
    const chunks = new Map<number, Uint8Array>();
    // All of them are looked up before any is added to the cache, since a new chunk may push out one that is needed.
    for (const number of wanted) {
      const chunk = this.cached.get(number);
      if (chunk) chunks.set(number, chunk);
    }
    const missing = wanted.filter((number) => !chunks.has(number));
    const loaded = missing.length > 0 ? await getMany<unknown>(missing, this.database.use) : [];
    for (const [i, number] of missing.entries()) {
      const chunk = loaded[i];
      if (!(chunk instanceof Uint8Array) || chunk.byteLength !== DISK_CHUNK_BYTES) {
        throw new BoxRunError("STATE_MISMATCH", `the box's disk is damaged: chunk ${number} is missing`);
      }
      chunks.set(number, chunk);
    }
    for (const [number, chunk] of chunks) this.cache(number, chunk);
    return chunks;
  }

  private cache(number: number, chunk: Uint8Array): void {
    this.cached.delete(number);
    this.cached.set(number, chunk);
    if (this.cached.size > CACHED_CHUNKS) this.cached.delete(this.cached.keys().next().value!);
  }
}
