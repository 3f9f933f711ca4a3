import { afterEach, expect, it, vi } from "vitest";
import { openDatabaseDisk } from "../../src/local/machine/disk-database-browser.js";
import { browserStore } from "../../src/local/state/store-browser.js";
import { newId } from "../../src/util/ids.js";

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
