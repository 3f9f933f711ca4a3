import { afterEach, expect, it, vi } from "vitest";
import type { StoredDisk } from "../../../src/local/machine/disk.js";
import { openDatabaseDisk } from "../../../src/local/machine/disk-database-browser.js";
import { DISK_CHUNK_BYTES, deleteDatabase, openDatabase } from "../../../src/local/store/database-browser.js";
import {
  DISK_BYTES,
  DiskModel,
  newHistory,
  newRange,
  readWindows,
  type Step,
} from "../../robustness/crashes/disk-history.js";
import { Random } from "../../robustness/faults/random.js";

const NAME = "disk-model-test";
const OPTIONS = { bytes: DISK_BYTES, durability: "relaxed" } as const;
const STEPS = 14;

afterEach(async () => {
  vi.restoreAllMocks();
  await deleteDatabase(NAME);
});

async function newDisk(): Promise<StoredDisk> {
  await deleteDatabase(NAME);
  (await openDatabase(NAME, { create: true, durability: "relaxed" }))!.close();
  return openDatabaseDisk(NAME, OPTIONS);
}

const write = (disk: StoredDisk, step: Step) =>
  Promise.resolve(step.length === 1 ? disk.write(step[0]!.offset, step[0]!.bytes) : disk.writeAll(step));

/** Lets the browser end this page's transactions, as it does when the page goes away: the one with this number with what it has put so far, and all later ones. Then it closes the database. */
function crashAt(commit: number): { commits: number } {
  const seen = { commits: 0 };
  const { commit: commitReal } = IDBTransaction.prototype;
  vi.spyOn(IDBTransaction.prototype, "commit").mockImplementation(function (this: IDBTransaction) {
    if (++seen.commits < commit) return commitReal.call(this);
    this.addEventListener("abort", () => this.db.dispatchEvent(new Event("close")));
    this.abort();
  });
  return seen;
}

/** Runs a history, some of its writes at once, until it ends or fails. Resolves to how many were acknowledged, in their order. */
async function live(disk: StoredDisk, history: readonly Step[], random: Random): Promise<number> {
  let acknowledged = 0;
  for (let at = 0; at < history.length; ) {
    const together = history.slice(at, at + random.between(1, 3));
    const results = await Promise.allSettled([
      ...together.map((step, i) =>
        write(disk, step).then(() => {
          // In order: what came before was acknowledged before.
          expect(acknowledged).toBe(at + i);
          acknowledged++;
        }),
      ),
      disk.read(newRange(random).offset, 512),
    ]);
    if (results.some(({ status }) => status === "rejected")) return acknowledged;
    at += together.length;
  }
  return acknowledged;
}

/** How many writes of the history, from the first on, the next page finds; where the last of them change nothing, with them. -1: what is there is no such thing. */
async function prefixOf(history: readonly Step[]): Promise<number> {
  const disk = await openDatabaseDisk(NAME, OPTIONS);
  const windows = await readWindows((offset, length) => disk.read(offset, length));
  await disk.close();
  const model = new DiskModel();
  let longest = model.difference(windows) === undefined ? 0 : -1;
  for (const [at, step] of history.entries()) {
    model.write(step);
    if (model.difference(windows) === undefined) longest = at + 1;
  }
  return longest;
}

it.each([1, 2, 3, 4])(
  "what is in a database after its page has ended at any write is what was written until then, and all that was acknowledged (%d)",
  async (seed) => {
    const history = newHistory(new Random(seed), STEPS);
    for (let commit = 1; ; commit++) {
      const disk = await newDisk();
      const seen = crashAt(commit);
      const acknowledged = await live(disk, history, new Random(seed));
      vi.restoreAllMocks();
      await disk.close();
      expect(await prefixOf(history)).toBeGreaterThanOrEqual(acknowledged);
      if (seen.commits < commit) break;
      expect(acknowledged).toBeLessThan(STEPS);
    }
  },
);

it.each([1, 2, 3, 4])(
  "reads see what was written before them, and so does the next page (%d)",
  async (seed) => {
    const random = new Random(seed);
    let disk = await newDisk();
    const model = new DiskModel();
    for (const step of newHistory(random, 30)) {
      const written = write(disk, step);
      model.write(step);
      const { offset, length } = newRange(random);
      expect(Array.from(await disk.read(offset, length))).toEqual(Array.from(model.read(offset, length)));
      await written;
      if (!random.chance(0.2)) continue;
      await disk.close();
      disk = await openDatabaseDisk(NAME, OPTIONS);
    }
    expect(model.difference(await readWindows((at, length) => disk.read(at, length)))).toBeUndefined();
    await disk.close();
  },
);

it("a disk that is larger than what is kept of it in memory is whole", async () => {
  const random = new Random(1);
  const chunks = 700;
  const stamp = new Uint32Array(chunks);
  const bytesOf = (number: number) => new Uint8Array(DISK_CHUNK_BYTES).fill(stamp[number]! & 0xff);
  const disk = await newDisk();
  for (let number = 0; number < chunks; number++) {
    stamp[number] = 1 + (number % 250);
    await disk.write(number * DISK_CHUNK_BYTES, bytesOf(number));
  }
  for (let i = 0; i < 1500; i++) {
    const first = random.between(0, chunks - 3);
    if (random.chance(0.3)) {
      // A part of each of two chunks, the rest of which has to stay as it is.
      const half = DISK_CHUNK_BYTES / 2;
      const before = await disk.read(first * DISK_CHUNK_BYTES, DISK_CHUNK_BYTES);
      await disk.write(
        first * DISK_CHUNK_BYTES + half,
        new Uint8Array(2 * half).fill(stamp[first]!).fill(stamp[first + 1]!, half),
      );
      expect(before[0]).toBe(stamp[first]);
    }
    const read = await disk.read(first * DISK_CHUNK_BYTES, 3 * DISK_CHUNK_BYTES);
    for (let at = 0; at < read.byteLength; at += 4096)
      expect(read[at]).toBe(stamp[first + Math.floor(at / DISK_CHUNK_BYTES)]);
  }
  await disk.close();
});
