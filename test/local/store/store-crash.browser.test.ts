import { afterEach, expect, it } from "vitest";
import type { BoxStore } from "../../../src/local/store/box-store.js";
import { deleteDatabase } from "../../../src/local/store/database-browser.js";
import { browserStore } from "../../../src/local/store/store-browser.js";
import { after, expectEither, newHistory, STEPS, type Step } from "../../robustness/crashes/store-history.js";
import { Random } from "../../robustness/faults/random.js";

/** Of a history with a step of each kind, that replaces entries which are there. */
const SEED = 122;
const PREFIX = "store-crash-test";
/** Each crash has boxes of its own. */
const prefixAt = (at: number) => `${PREFIX}-${at}`;
/** Chromium takes two seconds to end a Worker that stands still, so it ends many at once. */
const AT_ONCE = 10;

const removeAll = async (store: BoxStore) => {
  for (const id of await store.list()) await store.remove(id);
};
afterEach(async () => {
  for (const { name = "" } of await indexedDB.databases())
    if (name.startsWith(PREFIX)) await deleteDatabase(name);
});

/** Runs a history in a Worker that is ended at a call. Resolves to the steps that are done, and to the number of calls where it was not ended. */
async function run(history: Step[], at: number): Promise<{ done: number; calls: number }> {
  const worker = new Worker(new URL("./store-victim-browser.ts", import.meta.url), { type: "module" });
  let done = 0;
  try {
    return await new Promise((resolve, reject) => {
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.onmessage = ({ data }) => {
        if (typeof data === "number") done = data + 1;
        else resolve({ done, calls: data.calls ?? 0 });
      };
      worker.postMessage({ prefix: prefixAt(at), history, at });
    });
  } finally {
    worker.terminate();
  }
}

/** Who comes next waits for what the browser has yet to end, and can go on with all that is there. */
async function expectGoesOn(store: BoxStore): Promise<void> {
  for (const id of await store.list()) {
    const release = await store.lock(id);
    expect(release).not.toBeNull();
    const kept = await store.readHistory(id);
    await store.appendHistory(id, [{ next: 1 }]);
    await store.writeRecord(id, { next: 1 });
    expect(await store.readHistory(id)).toEqual([...kept, { next: 1 }]);
    expect(await store.readRecord(id)).toEqual({ next: 1 });
    await release!();
  }
  await removeAll(store);
  expect(await store.list()).toEqual([]);
}

it("a page that ends at any call leaves every record and history as it was or as it was to be", async () => {
  const history = newHistory(new Random(SEED));
  const ids = new Set(history.map(({ id }) => id));
  const { calls, done } = await run(history, 0);
  expect(done).toBe(STEPS);
  expect(calls).toBeGreaterThan(STEPS);
  const queue = Array.from({ length: calls }, (_, i) => i + 1).values();
  const failures: string[] = [];
  const work = async () => {
    for (const at of queue) {
      const { done } = await run(history, at);
      const before = history.slice(0, done).reduce(after, new Map());
      // Locks of a Worker go with it, a moment later.
      for (const id of ids) await navigator.locks.request(`${prefixAt(at)}:${id}`, () => {});
      const store = await browserStore(prefixAt(at));
      await expectEither(store, before, after(before, history[done]!))
        .then(() => expectGoesOn(store))
        .catch((error) => failures.push(`ended at call ${at}, in ${history[done]!.step}: ${error}`));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  expect(failures.join("\n")).toBe("");
});
