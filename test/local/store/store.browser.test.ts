import { afterEach, expect, it, vi } from "vitest";
import { openDatabaseDisk } from "../../../src/local/machine/disk-database-browser.js";
import { openDatabase } from "../../../src/local/store/database-browser.js";
import { browserStore } from "../../../src/local/store/store-browser.js";
import { deferred } from "../../../src/util/deferred.js";
import { newId } from "../../../src/util/ids.js";

const PREFIX = "store-test";
const ID = newId("box");

/** Fails what is put from now on as a browser does that has no room: a request first, whose event comes to the transaction before that has an error. */
function fillStorage(): void {
  const full = (owner: object) => {
    const { get } = Object.getOwnPropertyDescriptor(owner, "error")!;
    vi.spyOn(owner as { error: unknown }, "error", "get").mockImplementation(function (this: unknown) {
      return get!.call(this) && new DOMException("no room", "QuotaExceededError");
    });
  };
  full(IDBRequest.prototype);
  full(IDBTransaction.prototype);
  const { put } = IDBObjectStore.prototype;
  vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (this: IDBObjectStore, value, key) {
    put.call(this, value, key);
    return this.add(value, key);
  });
}

afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await (await browserStore(PREFIX)).remove(ID);
});

it("a history is replaced whole, or not at all when the page is cut off in the middle", async () => {
  const store = await browserStore(PREFIX);
  const release = await store.create(ID, {});
  await store.appendHistory(ID, [{ n: 1 }, { n: 2 }]);
  await store.replaceHistory(ID, [{ n: 2 }, { n: 3 }]);
  expect(await store.readHistory(ID)).toEqual([{ n: 2 }, { n: 3 }]);
  await store.appendHistory(ID, [{ n: 4 }]);
  // As the browser ends what a page was at when that goes away.
  vi.spyOn(IDBObjectStore.prototype, "put").mockImplementationOnce(function (this: IDBObjectStore) {
    this.transaction.abort();
    return undefined as never;
  });
  await expect(store.replaceHistory(ID, [{ n: 9 }])).rejects.toThrow();
  expect(await store.readHistory(ID)).toEqual([{ n: 2 }, { n: 3 }, { n: 4 }]);
  await release();
});

it("a browser that has no room is STORAGE_FULL, whatever was to be stored, and what was there stays", async () => {
  const store = await browserStore(PREFIX);
  const release = await store.create(ID, { n: 1 });
  await store.appendHistory(ID, [{ n: 1 }]);
  const disk = await openDatabaseDisk(store.diskLocation(ID)!, { bytes: 2 ** 30, durability: "relaxed" });
  fillStorage();
  const full = { code: "STORAGE_FULL", retryable: true };
  await expect(store.writeRecord(ID, { n: 2 })).rejects.toMatchObject(full);
  await expect(store.appendHistory(ID, [{ n: 2 }])).rejects.toMatchObject(full);
  await expect(store.replaceHistory(ID, [{ n: 2 }])).rejects.toMatchObject(full);
  await expect(disk.write(0, new Uint8Array(512).fill(1))).rejects.toMatchObject(full);
  const other = newId("box");
  await expect(store.create(other, {})).rejects.toMatchObject(full);
  vi.restoreAllMocks();
  expect(await store.readRecord(ID)).toEqual({ n: 1 });
  expect(await store.readHistory(ID)).toEqual([{ n: 1 }]);
  expect(await store.list()).toEqual([ID]);
  await disk.close();
  await release();
});

it("a list of boxes that the browser forgets to give is asked for again", async () => {
  const store = await browserStore(PREFIX);
  const release = await store.create(ID, {});
  const databases = vi.spyOn(indexedDB, "databases").mockReturnValueOnce(new Promise(() => {}));
  expect(await store.list()).toEqual([ID]);
  expect(databases).toHaveBeenCalledTimes(2);
  await release();
});

/** Each wait of a store has an end before that. */
const LONG_MS = 60_000;
const fakeTimers = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );

it("names that another page keeps to itself are BOX_LOCKED after a while, and can be had when it is gone", async () => {
  const store = await browserStore(PREFIX);
  const theirs = deferred();
  const taken = deferred();
  const held = navigator.locks.request(`${PREFIX}:names`, () => {
    taken.resolve();
    return theirs.promise;
  });
  await taken.promise;
  fakeTimers();
  const work = vi.fn(async () => 1);
  const failed = rejection(store.exclusively(work));
  vi.advanceTimersByTime(LONG_MS);
  expect(await failed).toMatchObject({
    code: "BOX_LOCKED",
    retryable: true,
    message: expect.stringContaining("box names are locked by another page"),
  });
  theirs.resolve();
  await held;
  expect(work).not.toHaveBeenCalled();
  expect(await store.exclusively(work)).toBe(1);
  // However long that takes.
  const slow = store.exclusively(async () => vi.advanceTimersByTime(LONG_MS));
  await expect(slow).resolves.toBeDefined();
});

it("a database that a page does not let go of is BOX_LOCKED for who removes it, what waits behind that ends, too, and nothing is left once the page has closed", async () => {
  const store = await browserStore(PREFIX);
  const release = await store.create(ID, {});
  const theirs = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(store.diskLocation(ID)!);
    request.onsuccess = () => resolve(request.result);
  });
  fakeTimers();
  const removed = rejection(store.remove(ID));
  const read = rejection(store.readRecord(ID));
  const opened = rejection(openDatabase(store.diskLocation(ID)!, { create: true, durability: "relaxed" }));
  vi.advanceTimersByTime(LONG_MS);
  expect(await removed).toMatchObject({
    code: "BOX_LOCKED",
    retryable: true,
    message: expect.stringContaining(ID),
  });
  for (const waited of [read, opened])
    expect(await waited).toMatchObject({
      code: "RUNTIME_ERROR",
      retryable: true,
      message: expect.stringContaining(ID),
    });
  theirs.close();
  // Comes after all of those.
  expect(
    await openDatabase(store.diskLocation(ID)!, { create: false, durability: "relaxed" }),
  ).toBeUndefined();
  expect(await store.list()).toEqual([]);
  await release();
});

it("a database that opens when nobody waits for it any more is closed", async () => {
  const store = await browserStore(PREFIX);
  await (await store.create(ID, {}))();
  fakeTimers();
  const late = rejection(store.readRecord(ID));
  vi.advanceTimersByTime(LONG_MS);
  expect(await late).toMatchObject({ code: "RUNTIME_ERROR" });
  // Without our listener for those who remove it: who had it open would block this.
  const blocked = await new Promise<boolean>((resolve) => {
    const request = indexedDB.deleteDatabase(store.diskLocation(ID)!);
    request.onblocked = () => resolve(true);
    request.onsuccess = () => resolve(false);
  });
  expect(blocked).toBe(false);
});

it("a transaction that never ends holds up no other without an end", async () => {
  const store = await browserStore(PREFIX);
  const release = await store.create(ID, { n: 1 });
  const opening = indexedDB.open(`${PREFIX}:${ID}`);
  await new Promise((resolve) => {
    opening.onsuccess = resolve;
  });
  const database = opening.result;
  const stuck = database.transaction("keyval", "readwrite").objectStore("keyval");
  let goesOn = true;
  const again = () => {
    stuck.get("box").onsuccess = () => goesOn && again();
  };
  again();
  fakeTimers();
  const writing = rejection(store.writeRecord(ID, { n: 2 }));
  const reading = rejection(store.readHistory(ID));
  vi.advanceTimersByTime(LONG_MS);
  for (const failed of [writing, reading])
    expect(await failed).toMatchObject({ code: "RUNTIME_ERROR", retryable: true });
  goesOn = false;
  database.close();
  vi.useRealTimers();
  expect(await store.readRecord(ID)).toEqual({ n: 2 });
  await release();
});
