import { describe, expect, it } from "vitest";
import type { GuestFrame } from "../../../src/local/protocol/frame-types.js";
import type { BoxStore } from "../../../src/local/store/box-store.js";
import { memoryStore } from "../../../src/local/store/store-memory.js";
import { type FakeMachine, runningBox } from "../fake-machine.js";

const EXEC = { cmd: ["x"], env: null, workdir: null, timeoutMs: null, stdin: false };
const flush: GuestFrame = { type: "flush", stream: 0 };
const flushed: GuestFrame = { type: "flushed", stream: 0, errno: 0 };

/** A store that says that boxes outlive it, which nobody here tries. */
const lastingStore = (): BoxStore => ({ ...memoryStore("a test"), persistent: true });

/** Lets everything run that waits for nothing. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A box that is stored, on a machine that nothing holds. */
async function storedBox() {
  const box = await runningBox(lastingStore());
  box.machine.send(flush, flushed);
  await settled();
  expect(box.machine.held).toBe(false);
  return box;
}

/** Runs a command to its end. */
async function runCommand({ backend, id, machine }: Awaited<ReturnType<typeof storedBox>>): Promise<void> {
  const asked = machine.next("exec");
  const starting = backend.startExec(id, EXEC);
  const { stream } = await asked;
  machine.send({ type: "started", stream, pid: 7 });
  const { id: execId } = await starting;
  const waiting = backend.waitExec(id, execId, {});
  machine.send({ type: "exit", stream, how: "exited", value: 0 });
  await waiting;
  await settled();
}

async function heldAfter(machine: FakeMachine, ...frames: GuestFrame[]): Promise<boolean> {
  machine.send(...frames);
  await settled();
  return machine.held;
}

describe("a process with a box", () => {
  it("is kept alive after the creation and after each command until that is stored, and no longer", async () => {
    const created = await runningBox(lastingStore());
    await settled();
    expect(created.machine.held).toBe(true);
    expect(await heldAfter(created.machine, flush, flushed)).toBe(false);
    await runCommand(created);
    expect(created.machine.held).toBe(true);
    expect(await heldAfter(created.machine, flush)).toBe(true);
    expect(await heldAfter(created.machine, flushed)).toBe(false);
  });

  it("is not let go by a flush that began before the command ended", async () => {
    const box = await storedBox();
    box.machine.send(flush);
    await runCommand(box);
    expect(await heldAfter(box.machine, flushed)).toBe(true);
    expect(await heldAfter(box.machine, flush, flushed)).toBe(false);
  });

  it("is not let go by the flush of an earlier command while a later one is not stored", async () => {
    const box = await storedBox();
    await runCommand(box);
    box.machine.send(flush);
    await runCommand(box);
    expect(await heldAfter(box.machine, flushed)).toBe(true);
    expect(await heldAfter(box.machine, flush, flushed)).toBe(false);
  });

  it("is let go by a flush that failed: there is nothing more to wait for", async () => {
    const box = await storedBox();
    await runCommand(box);
    expect(await heldAfter(box.machine, flush, { ...flushed, errno: 5 })).toBe(false);
  });

  it("reads once in the box's warnings that what was written could not be stored", async () => {
    const { backend, id, machine } = await storedBox();
    await heldAfter(machine, flush, { ...flushed, errno: 5 }, flush, { ...flushed, errno: 5 });
    expect((await backend.getBox(id)).local!.warnings).toEqual([
      "the latest writes could not be stored: input/output error (EIO)",
    ]);
  });

  it("tells its guest the date when its machine goes on after a backlog", async () => {
    const { machine } = await storedBox();
    const told = machine.next("clock");
    machine.post({ type: "resumed" });
    expect(await told).toMatchObject({ type: "clock" });
  });

  it("is kept by what is asked meanwhile, whatever is stored", async () => {
    const box = await storedBox();
    await runCommand(box);
    const asked = box.machine.next("put");
    const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
    const uploading = box.backend.upload(box.id, "/root/f", body, { mode: 0o644 });
    const { stream } = await asked;
    expect(await heldAfter(box.machine, flush, flushed)).toBe(true);
    box.machine.send({ type: "done", stream, bytes: 0 });
    await uploading;
    await settled();
    expect(box.machine.held).toBe(true);
    expect(await heldAfter(box.machine, flush, flushed)).toBe(false);
  });

  it("is not kept for what only reads, nor by a box that ends with it", async () => {
    const box = await storedBox();
    const asked = box.machine.next("file");
    const listing = box.backend.fileOperation!(box.id, { op: "list", path: Uint8Array.of(47) }, {});
    const { stream } = await asked;
    box.machine.send({ type: "done", stream, bytes: 0 });
    await listing;
    await settled();
    expect(box.machine.held).toBe(false);

    const passing = await runningBox();
    await runCommand(passing);
    expect(passing.machine.held).toBe(false);
  });
});
