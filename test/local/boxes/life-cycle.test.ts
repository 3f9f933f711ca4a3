import { expect, it } from "vitest";
import { BoxRunError } from "../../../src/backend/errors.js";
import { STAGES } from "../../../src/local/protocol/frame-types.js";
import type { BoxStore, LockOwner } from "../../../src/local/store/box-store.js";
import { memoryStore } from "../../../src/local/store/store-memory.js";
import { deferred } from "../../../src/util/deferred.js";
import { runningBox } from "../fake-machine.js";

const EXEC = { cmd: ["x"], env: null, workdir: null, timeoutMs: null, stdin: false };

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

it("a box that another process runs is refused at once, by start and remove; one that is held for a moment is waited for", async () => {
  const store = keepingStore();
  const { backend, id } = await stoppedBox(store);
  const { lock } = store;
  let tries = 0;
  let refusals = Number.POSITIVE_INFINITY;
  store.lock = async (locked, options) => {
    tries++;
    return refusals-- > 0 ? null : lock(locked, options);
  };
  let owner: LockOwner = { who: "process 7", since: null };
  store.lockOwner = async () => owner;
  for (const attempt of [() => backend.startBox(id, {}), () => backend.removeBox(id, { force: true })]) {
    tries = 0;
    await expect(attempt()).rejects.toMatchObject({
      code: "BOX_LOCKED",
      message: expect.stringContaining("process 7"),
    });
    expect(tries).toBeLessThanOrEqual(2);
  }
  owner = { ...owner, brief: true };
  refusals = 4;
  expect(await backend.startBox(id, {})).toMatchObject({ status: "running" });
  refusals = 0;
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

it("a box whose guest refuses to shut down is stopped all the same, and who stopped it is told what may be lost", async () => {
  const { backend, id, machine } = await runningBox(keepingStore());
  const asked = machine.next("shutdown");
  const stopping = backend.stopBox(id);
  await asked;
  machine.send({ type: "fail", stream: 0, stage: STAGES.write, errno: 16, detail: "remount disk" });
  await expect(stopping).rejects.toMatchObject({
    code: "RUNTIME_ERROR",
    message: expect.stringMatching(/switched off.*remount disk.*may be lost/s),
  });
  expect(await backend.getBox(id)).toMatchObject({ status: "stopped", errorCode: null });
});

it("a start that is given up while its record is written leaves the box stopped, and writes nothing once the lock is free", async () => {
  const store = keepingStore();
  const { backend, id } = await stoppedBox(store);
  const { writeRecord } = store;
  const reached = deferred();
  const written = deferred();
  const [settling, settled] = [deferred(), deferred()];
  store.writeRecord = async (of, record) => {
    store.writeRecord = async (...last) => {
      settling.resolve();
      await settled.promise;
      return writeRecord(...last);
    };
    reached.resolve();
    await written.promise;
    return writeRecord(of, record);
  };
  const controller = new AbortController();
  const starting = backend.startBox(id, { signal: controller.signal });
  await reached.promise;
  controller.abort(new Error("given up"));
  const gone = expect(starting).rejects.toThrow("given up");
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(await store.isLocked(id)).toBe(true);
  written.resolve();
  await settling.promise;
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(await backend.getBox(id)).toMatchObject({ status: "stopped" });
  settled.resolve();
  await gone;
  expect(await store.isLocked(id)).toBe(false);
  expect(await store.readRecord(id)).toMatchObject({ stoppedAt: expect.any(String) });
  expect(await backend.getBox(id)).toMatchObject({ status: "stopped" });
});

it("a command that is being ended can be canceled again, and killed at once", async () => {
  const { backend, id, machine } = await runningBox(keepingStore());
  const asked = machine.next("exec");
  const starting = backend.startExec(id, {
    cmd: ["x"],
    env: null,
    workdir: null,
    timeoutMs: null,
    stdin: true,
  });
  const { stream } = await asked;
  machine.send({ type: "started", stream, pid: 7 });
  const { id: execId } = await starting;
  const canceled = [backend.cancelExec(id, execId)];
  await machine.next("terminate");
  canceled.push(backend.cancelExec(id, execId));
  const killed = machine.next("signal");
  await backend.signalExec(id, execId, "SIGKILL");
  expect(await killed).toMatchObject({ stream, signal: 9 });
  await expect(backend.writeStdin(id, execId, new Uint8Array(1))).rejects.toMatchObject({
    code: "EXEC_ALREADY_FINISHED",
    message: expect.stringMatching(/is ending/),
  });
  machine.send({ type: "exit", stream, how: "signaled", value: 9 });
  for (const cancel of canceled) expect(await cancel).toMatchObject({ status: "canceled" });
  await backend.removeBox(id, { force: true });
});

it("a command that is on its way when its box is stopped was canceled, too", async () => {
  const { backend, id, machine } = await runningBox(keepingStore());
  const asked = machine.next("exec");
  const starting = backend.startExec(id, EXEC);
  const { stream } = await asked;
  const shutdown = machine.next("shutdown");
  const stopping = backend.stopBox(id);
  await shutdown;
  machine.send(
    { type: "started", stream, pid: 7 },
    { type: "exit", stream, how: "signaled", value: 15 },
    { type: "done", stream: 0, bytes: 0 },
  );
  const { id: execId } = await starting;
  await stopping;
  expect(await backend.getExec(id, execId)).toMatchObject({
    status: "canceled",
    exitCode: null,
    errorMessage: "the box was stopped",
  });
});

it("a box that ends where nothing more can be stored says why, and what was under way is not to be tried again", async () => {
  const store = keepingStore();
  const { backend, id, machine } = await runningBox(store);
  const { writeRecord } = store;
  store.writeRecord = () => Promise.reject(new BoxRunError("STORAGE_FULL", "no room"));
  const asked = machine.next("exec");
  const starting = backend.startExec(id, EXEC);
  const { stream } = await asked;
  machine.send({ type: "started", stream, pid: 7 });
  const { id: execId } = await starting;
  const lost = expect(backend.waitExec(id, execId, {})).rejects.toMatchObject({
    code: "STORAGE_FULL",
    retryable: false,
  });
  machine.post({ type: "ended", code: "STORAGE_FULL", message: "no room for the disk", retryable: true });
  await lost;
  const why = { status: "error", errorCode: "STORAGE_FULL", errorMessage: "no room for the disk" };
  await expect.poll(() => backend.getBox(id)).toMatchObject(why);
  await expect(backend.startExec(id, EXEC)).rejects.toThrow("no room for the disk");
  store.writeRecord = writeRecord;
  expect(await backend.getBox(id)).toMatchObject(why);
  expect(await store.readRecord(id)).toMatchObject({ error: { code: "STORAGE_FULL" } });
});
