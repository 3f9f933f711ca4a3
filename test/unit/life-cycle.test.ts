import { expect, it } from "vitest";
import type { BoxStore } from "../../src/local/state/box-store.js";
import { memoryStore } from "../../src/local/state/store-memory.js";
import { bootFake, type FakeMachine, fakeBackend, SPEC } from "./fake-machine.js";

/** A store that says of itself that it keeps its boxes. */
const keepingStore = (): BoxStore => ({ ...memoryStore(false), persistent: true });

/** A box whose guest shuts down when it is asked to. */
async function stoppedBox(store: BoxStore) {
  const { backend, id, machine } = await runningBox(store);
  const asked = machine.next("shutdown");
  const stopping = backend.stopBox(id);
  await asked;
  machine.send({ type: "done", stream: 0, bytes: 0 });
  await stopping;
  return { backend, id };
}

async function runningBox(store: BoxStore) {
  let machine!: FakeMachine;
  const backend = fakeBackend((made) => {
    machine = made;
    void bootFake(made);
  }, store);
  const { id } = await backend.createBox(SPEC, {});
  return { backend, id, machine };
}

it("a box that is being stopped when its client closes still unmounts its disk first", async () => {
  const { backend, id, machine } = await runningBox(keepingStore());
  const asked = machine.next("shutdown");
  const stopping = backend.stopBox(id);
  await asked;
  const closing = backend.close();
  // All that does not wait for the guest happens before this.
  await new Promise((resolve) => setImmediate(resolve));
  expect(machine.terminated).toBe(false);
  machine.send({ type: "done", stream: 0, bytes: 0 });
  await closing;
  expect(machine.stopped).toBe(true);
  expect(await stopping).toMatchObject({ status: "stopped", stoppedAt: expect.any(Date) });
});

it("a box that another process holds for a moment, to note that its owner has died, can be started all the same", async () => {
  const store = keepingStore();
  const { backend, id } = await stoppedBox(store);
  const { lock } = store;
  let refusals = Number.POSITIVE_INFINITY;
  store.lock = async (locked) => (refusals-- > 0 ? null : lock(locked));
  await expect(backend.startBox(id, {})).rejects.toMatchObject({ code: "BOX_LOCKED" });
  refusals = 2;
  expect(await backend.startBox(id, {})).toMatchObject({ status: "running" });
  await backend.removeBox(id, { force: true });
});

it("a box that is used between being listed and being collected is not collected", async () => {
  const store = keepingStore();
  const { backend, id } = await stoppedBox(store);
  const { lock } = store;
  store.lock = async (locked) => {
    // As another process would, that has it for a moment before.
    const record = (await store.readRecord(locked)) as object;
    await store.writeRecord(locked, { ...record, stoppedAt: new Date(Date.now() + 60_000).toISOString() });
    return lock(locked);
  };
  expect(await backend.gc({ olderThan: 0 })).toBe(0);
  store.lock = lock;
  expect(await backend.getBox(id)).toMatchObject({ status: "stopped" });
  expect(await backend.gc({ olderThan: -120 })).toBe(1);
});
