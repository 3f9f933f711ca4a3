import { afterEach, describe, expect, it, vi } from "vitest";
import { type GuestFrame, PROTOCOL_VERSION } from "../../../src/local/protocol/frame-types.js";
import { fakeBackend, runningBox, SPEC } from "../fake-machine.js";

const EXEC = { cmd: ["x"], env: null, workdir: null, timeoutMs: null, stdin: false };

afterEach(() => vi.useRealTimers());

/** A box with one command in it, started as far as the fake guest says. */
async function runningExec() {
  const box = await runningBox();
  const asked = box.machine.next("exec");
  const starting = box.backend.startExec(box.id, EXEC);
  const { stream } = await asked;
  box.machine.send({ type: "started", stream, pid: 7 });
  const { id: execId } = await starting;
  return { ...box, stream, execId };
}

const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error) => error as { code: string; message: string },
  );

describe("a guest that breaks the protocol", () => {
  const cases: [string, (stream: number) => GuestFrame[]][] = [
    ["data on a channel of its own", (stream) => [data(stream, "file")]],
    ["an answer for a file to a command", (stream) => [{ type: "done", stream, bytes: 0 }]],
    ["more credit than there is", (stream) => [credit(stream), credit(stream)]],
    [
      "a command's frame outside any stream",
      () => [{ type: "fail", stream: 0, stage: 1, errno: 71, detail: "frame" }],
    ],
    ["a frame for a stream that never was", () => [data(4_000_000, "stdout")]],
    ["an answer that was not asked for", () => [{ type: "pong", stream: 0, token: 9 }]],
    ["a second start of one command", (stream) => [{ type: "started", stream, pid: 8 }]],
    ["a second box", () => [{ type: "ready", stream: 0, diskBytes: 1 }]],
    ["the end of what was not begun", () => [{ type: "done", stream: 0, bytes: 0 }]],
    ["the end of a flush that was not begun", () => [{ type: "flushed", stream: 0, errno: 0 }]],
    ["a flush within a flush", () => [flush, flush]],
    ["coming up twice", () => [hello(), hello()]],
    ["another version", () => [{ ...hello(), version: 99 }]],
  ];
  it.each(cases)("is ended for %s: the box is in error, what is pending rejects", async (_what, frames) => {
    const { backend, id, machine, stream, execId } = await runningExec();
    const waiting = rejection(backend.waitExec(id, execId, {}));
    machine.send(...frames(stream));
    expect(await waiting).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(machine.terminated).toBe(true);
    const info = await backend.getBox(id);
    expect(info).toMatchObject({ status: "error", errorCode: "PROTOCOL_ERROR" });
    expect(info.errorMessage).toMatch(/protocol/);
    expect(await rejection(backend.startExec(id, EXEC))).toMatchObject({ code: "BOX_NOT_RUNNING" });
    await backend.removeBox(id, { force: false });
    expect(await backend.listBoxes({})).toEqual([]);
  });

  it("is ended for more of a file than it was granted, which nobody reads", async () => {
    const { backend, id, machine } = await runningBox();
    const asked = machine.next("get");
    const opening = backend.download(id, "/file", {});
    const { stream } = await asked;
    machine.send({ type: "stat", stream, size: 2 << 20, mode: 0o644, mtimeMs: 0 });
    const download = await opening;
    for (let sent = 0; sent <= 1 << 20; sent += 32_756) machine.send(data(stream, "file", 32_756));
    expect(await backend.getBox(id)).toMatchObject({ status: "error", errorCode: "PROTOCOL_ERROR" });
    const reader = download.stream.getReader();
    const reading = async () => {
      while (!(await reader.read()).done);
    };
    expect(await rejection(reading())).toMatchObject({ code: "PROTOCOL_ERROR" });
  });

  it("is ended for bytes that are no frame", async () => {
    const { backend, id, machine } = await runningExec();
    machine.sendBytes(new Uint8Array(64).fill(255));
    expect(await backend.getBox(id)).toMatchObject({ status: "error", errorCode: "PROTOCOL_ERROR" });
  });
});

describe("a guest that prints much", () => {
  it("fills 64 MB with the logs of commands that run, and no more; later ones still keep their first quarter of one", async () => {
    const { backend, id, machine } = await runningBox();
    const print = async (total: number) => {
      const asked = machine.next("exec");
      const starting = backend.startExec(id, EXEC);
      const { stream } = await asked;
      machine.send({ type: "started", stream, pid: 7 });
      const { id: execId } = await starting;
      for (let sent = 0; sent < total; sent += 32_000) machine.send(data(stream, "stdout", 32_000));
      return { execId, stream };
    };
    const started = [];
    for (let i = 0; i < 20; i++) started.push(await print(32e6));
    const short = await print(256_000);
    let kept = 0;
    for (const { execId, stream } of [...started, short]) {
      machine.send({ type: "exit", stream, how: "exited", value: 0 });
      for await (const event of backend.execEvents(id, execId, { after: 0 }))
        if (event.type === "log") kept += event.bytes.byteLength;
      const { truncated } = await backend.getExec(id, execId);
      expect(truncated ?? false).toBe(execId !== short.execId);
    }
    expect(kept).toBeGreaterThan(60e6);
    expect(kept).toBeLessThan(64 * 2 ** 20 + 20 * 256 * 2 ** 10);
  });
});

describe("a machine that ends", () => {
  it("leaves the kernel's last words in the box's error", async () => {
    const { backend, id, machine, execId } = await runningExec();
    const waiting = rejection(backend.waitExec(id, execId, {}));
    for (const text of ["one\ntw", "o\nKernel panic\n"])
      machine.post({ type: "console", bytes: new TextEncoder().encode(text) });
    machine.post({ type: "ended", code: "RUNTIME_ERROR", message: "it stopped", retryable: false });
    expect(await waiting).toMatchObject({ code: "RUNTIME_ERROR" });
    expect((await backend.getBox(id)).errorMessage).toMatch(/it stopped.*two\nKernel panic/s);
  });

  it("by the end of its Worker is an error, too", async () => {
    const { backend, id, machine, execId } = await runningExec();
    const waiting = rejection(backend.waitExec(id, execId, {}));
    machine.post({ type: "console", bytes: new TextEncoder().encode("last words\n") });
    machine.failWorker(new Error("out of memory"));
    expect((await waiting).message).toMatch(/out of memory.*last words/s);
    const { status, errorMessage } = await backend.getBox(id);
    expect([status, errorMessage]).toEqual(["error", expect.stringMatching(/out of memory.*last words/s)]);
  });

  it("keeps of a console without end the last lines", async () => {
    const { backend, id, machine } = await runningExec();
    const line = new TextEncoder().encode(`${"x".repeat(99)}\n`);
    for (let i = 0; i < 100_000; i++) machine.post({ type: "console", bytes: line });
    machine.post({ type: "ended", code: "RUNTIME_ERROR", message: "it stopped", retryable: false });
    const { errorMessage } = await backend.getBox(id);
    expect(errorMessage!.split("\n").length).toBeLessThan(25);
    expect(errorMessage!.length).toBeLessThan(3000);
  });

  it("while it starts fails the creation and leaves no box", async () => {
    const backend = fakeBackend((machine) => machine.failWorker(new Error("no memory")));
    expect((await rejection(backend.createBox(SPEC, {}))).message).toMatch(/no memory/);
    expect(await backend.listBoxes({})).toEqual([]);
  });

  it("is what a box becomes whose guest cannot make it", async () => {
    const backend = fakeBackend(async (machine) => {
      const setup = machine.next("setup");
      machine.post({ type: "started", boot: "snapshot", warnings: [] });
      await setup;
      machine.send({ type: "fail", stream: 0, stage: 2, errno: 5, detail: "disk" });
    });
    expect((await rejection(backend.createBox(SPEC, {}))).message).toMatch(/disk/);
    expect(await backend.listBoxes({})).toEqual([]);
  });
});

describe("a guest that does not answer", () => {
  it("fails the creation in the end", async () => {
    vi.useFakeTimers();
    const backend = fakeBackend((machine) =>
      machine.post({ type: "started", boot: "snapshot", warnings: [] }),
    );
    const failed = rejection(backend.createBox(SPEC, {}));
    await vi.advanceTimersByTimeAsync(61_000);
    expect((await failed).message).toMatch(/did not set up the box within/);
  });

  it("fails the creation when the machine never starts", async () => {
    vi.useFakeTimers();
    const backend = fakeBackend(() => {});
    const failed = rejection(backend.createBox(SPEC, {}));
    await vi.advanceTimersByTimeAsync(121_000);
    expect((await failed).message).toMatch(/did not start within/);
  });

  it("is ended when it never says that a command runs", async () => {
    const { backend, id } = await runningBox();
    vi.useFakeTimers();
    const starting = rejection(backend.startExec(id, EXEC));
    await vi.advanceTimersByTimeAsync(61_000);
    expect((await starting).message).toMatch(/did not start the command/);
    expect(await backend.getBox(id)).toMatchObject({ status: "error" });
  });

  it("is told to end a command whose time is up, though it never said that it runs", async () => {
    const { backend, id, machine } = await runningBox();
    vi.useFakeTimers();
    const starting = rejection(backend.startExec(id, { ...EXEC, timeoutMs: 100 }));
    await vi.advanceTimersByTimeAsync(200);
    expect(machine.frames.at(-1)).toMatchObject({ type: "terminate" });
    await vi.advanceTimersByTimeAsync(61_000);
    await starting;
  });

  it("is ended when a command that was canceled does not end", async () => {
    const { backend, id, machine, execId } = await runningExec();
    vi.useFakeTimers();
    const canceling = rejection(backend.cancelExec(id, execId));
    // A volume that hangs may hold it for 30 seconds.
    await vi.advanceTimersByTimeAsync(40_000);
    expect(await backend.getBox(id)).toMatchObject({ status: "running" });
    await vi.advanceTimersByTimeAsync(7_000);
    expect((await canceling).message).toMatch(/did not end the killed command/);
    expect(machine.frames.at(-1)).toMatchObject({ type: "terminate", graceMs: 1000 });
    expect(await backend.getBox(id)).toMatchObject({ status: "error" });
  });
});

function data(stream: number, channel: "stdout" | "file", length = 1): GuestFrame {
  return { type: "data", stream, channel, data: new Uint8Array(length) };
}

const flush: GuestFrame = { type: "flush", stream: 0 };

function hello(): GuestFrame & { type: "hello" } {
  return { type: "hello", stream: 0, version: PROTOCOL_VERSION, maxPayload: 1 };
}

function credit(stream: number): GuestFrame {
  return { type: "credit", stream, bytes: 16 << 20 };
}
