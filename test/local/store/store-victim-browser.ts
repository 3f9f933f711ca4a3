/**
 * Does to a browser's store of boxes what a history says, and stands still for ever at a certain call that changes something, for its page to end it there. Told by its
 * page: the prefix of the databases, the history, and which call, from 1 on; 0: none. Tells it the number of each step that is done; "stuck"; and at the end how many calls there were.
 */
import { browserStore } from "../../../src/local/store/store-browser.js";
import type { Step } from "../../robustness/crashes/store-history.js";

/** Pages that are not isolated have shared memory from here alone. */
const asleep = new WebAssembly.Memory({ shared: true, initial: 1, maximum: 1 });

let calls = 0;
let at = 0;

function watch(owner: object, name: string): void {
  const methods = owner as Record<string, (...args: unknown[]) => unknown>;
  const real = methods[name]!;
  methods[name] = function (this: unknown, ...args) {
    if (++calls === at) {
      postMessage("stuck");
      // Asleep, since many of these stand still at once.
      Atomics.wait(new Int32Array(asleep.buffer), 0, 0);
    }
    return real.apply(this, args);
  };
}
watch(IDBFactory.prototype, "open");
watch(IDBFactory.prototype, "deleteDatabase");
watch(IDBDatabase.prototype, "createObjectStore");
watch(IDBDatabase.prototype, "close");
for (const name of ["put", "delete"]) watch(IDBObjectStore.prototype, name);
watch(IDBTransaction.prototype, "commit");

addEventListener(
  "message",
  async ({ data }: MessageEvent<{ prefix: string; history: Step[]; at: number }>) => {
    at = data.at;
    const store = await browserStore(data.prefix);
    const releases = new Map<string, () => Promise<void>>();
    for (const [index, { step, id, value }] of data.history.entries()) {
      if (step === "create")
        releases.set(id, await store.exclusively(() => store.create(id, value as object)));
      if (step === "lock") releases.set(id, (await store.lock(id))!);
      if (step === "release") await releases.get(id)!();
      if (step === "record") await store.writeRecord(id, value as object);
      if (step === "append") await store.appendHistory(id, value as object[]);
      if (step === "replace") await store.replaceHistory(id, value as object[]);
      if (step === "remove") {
        await store.remove(id);
        await releases.get(id)!();
      }
      postMessage(index);
    }
    postMessage({ calls });
  },
);
