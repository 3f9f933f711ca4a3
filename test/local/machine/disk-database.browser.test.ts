import { afterEach, expect, it, vi } from "vitest";
import { openDatabaseDisk } from "../../../src/local/machine/disk-database-browser.js";
import { deleteDatabase, openDatabase } from "../../../src/local/store/database-browser.js";

const NAME = "database-disk-test";
const OPTIONS = { bytes: 2 ** 30, durability: "relaxed" } as const;
const sector = (value: number) => new Uint8Array(512).fill(value);

afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await deleteDatabase(NAME);
});

it("a disk in a database keeps all of what is written to one of its chunks at once, and what is written while it is read", async () => {
  (await openDatabase(NAME, { create: true, durability: "relaxed" }))!.close();
  const first = await openDatabaseDisk(NAME, OPTIONS);
  await first.write(0, sector(1));
  await first.close();

  // Nothing is in memory: each of these has to look at what is stored.
  const second = await openDatabaseDisk(NAME, OPTIONS);
  await Promise.all([
    second.read(0, 512),
    second.write(512, sector(2)),
    second.read(0, 512),
    second.write(1024, sector(3)),
  ]);
  await second.write(1536, sector(4));
  await second.close();

  const third = await openDatabaseDisk(NAME, OPTIONS);
  const bytes = await third.read(0, 2048);
  expect([0, 512, 1024, 1536].map((at) => bytes[at])).toEqual([1, 2, 3, 4]);
  await third.close();
});

it.each(["relaxed", "strict"] as const)(
  "a write is acknowledged once its transaction has completed (%s)",
  async (durability) => {
    (await openDatabase(NAME, { create: true, durability: "relaxed" }))!.close();
    const disk = await openDatabaseDisk(NAME, { bytes: 2 ** 30, durability });
    const begun: IDBTransaction[] = [];
    const completed = new Set<IDBTransaction>();
    const { transaction } = IDBDatabase.prototype;
    vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementation(function (this: IDBDatabase, ...given) {
      const made = transaction.apply(this, given);
      made.addEventListener("complete", () => completed.add(made));
      begun.push(made);
      return made;
    });
    await disk.write(0, sector(1));
    expect(begun.map((made) => [made.mode, made.durability, completed.has(made)])).toEqual([
      ["readwrite", durability, true],
    ]);
    await disk.close();
  },
);

/** A Worker that has the disk open. */
async function holder(): Promise<Worker> {
  (await openDatabase(NAME, { create: true, durability: "relaxed" }))!.close();
  const worker = new Worker(new URL("./disk-holder-browser.ts", import.meta.url), { type: "module" });
  await new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage({ name: NAME });
  });
  return worker;
}
/** Resolves once somebody waits for the disk. */
async function somebodyWaits(): Promise<void> {
  const { pending = [] } = await navigator.locks.query();
  if (!pending.some(({ name }) => name?.startsWith(NAME))) await somebodyWaits();
}

it.each([
  ["ends", (worker: Worker) => worker.terminate()],
  ["closes it", (worker: Worker) => worker.postMessage("close")],
])("a disk is opened once the Worker that has it open %s, and not before", async (_, letGo) => {
  const worker = await holder();
  const opened = vi.fn();
  const opening = openDatabaseDisk(NAME, OPTIONS).finally(opened);
  await somebodyWaits();
  expect(opened).not.toHaveBeenCalled();
  letGo(worker);
  const disk = await opening;
  expect((await disk.read(0, 512))[0]).toBe(7);
  await disk.close();
  worker.terminate();
});

it("a disk that a Worker does not let go of is BOX_LOCKED after a while", async () => {
  const worker = await holder();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const opening = openDatabaseDisk(NAME, OPTIONS).catch((error) => error);
  vi.advanceTimersByTime(60_000);
  expect(await opening).toMatchObject({
    code: "BOX_LOCKED",
    retryable: true,
    message: expect.stringContaining(`${NAME} is still open in the previous Worker`),
  });
  worker.terminate();
});

it("a disk that cannot be opened is not held", async () => {
  await expect(openDatabaseDisk(NAME, OPTIONS)).rejects.toMatchObject({ code: "STATE_MISMATCH" });
  const { held = [] } = await navigator.locks.query();
  expect(held.filter(({ name }) => name?.startsWith(NAME))).toEqual([]);
});
