import { afterEach, expect, it, vi } from "vitest";
import { browserStore } from "../../src/local/state/store-browser.js";
import { newId } from "../../src/util/ids.js";

const PREFIX = "store-test";
const ID = newId("box");

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
