import { afterEach, describe, expect, it, vi } from "vitest";
import type { FileOperation } from "../../../src/backend/backend.js";
import type { GuestFrame } from "../../../src/local/protocol/frame-types.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { bootFake, type FakeMachine, fakeBackend, SPEC } from "../fake-machine.js";

const path = new TextEncoder().encode("/srv");
const STAT: FileOperation = { op: "stat", path, followLinks: true };
const LIST: FileOperation = { op: "list", path };
const MKDIR: FileOperation = { op: "mkdir", path, mode: 0o755, recursive: false };

afterEach(() => vi.useRealTimers());

/** A box whose guest is the test, and one operation that it has been asked for. */
async function asked(operation: FileOperation, options: { signal?: AbortSignal } = {}) {
  let machine!: FakeMachine;
  const backend = fakeBackend((made) => {
    machine = made;
    void bootFake(made);
  });
  const { id } = await backend.createBox(SPEC, {});
  const came = machine.next("file");
  const answer = backend.fileOperation(id, operation, options);
  answer.catch(() => {});
  const { stream } = await came;
  return { backend, id, machine, stream, answer };
}

interface Fields {
  mtime?: bigint;
  mode?: number;
  length?: number;
}

function entry(name: string, { mtime = 0n, mode = 0o100644, length }: Fields = {}): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  const data = new Uint8Array(32 + bytes.byteLength);
  const view = new DataView(data.buffer);
  view.setBigInt64(8, mtime, true);
  view.setUint32(16, mode, true);
  view.setUint32(28, length ?? bytes.byteLength, true);
  data.set(bytes, 32);
  return data;
}

const data = (stream: number, bytes: Uint8Array): GuestFrame => ({
  type: "data",
  stream,
  channel: "file",
  data: bytes,
});
const done = (stream: number): GuestFrame => ({ type: "done", stream, bytes: 0 });

describe("a guest that lies about files", () => {
  it("is believed what can be", async () => {
    const { machine, stream, answer } = await asked(LIST);
    machine.send(data(stream, entry("a")), data(stream, entry("...")), done(stream));
    expect((await answer).map(({ name }) => new TextDecoder().decode(name))).toEqual(["a", "..."]);
  });

  it.each<[string, FileOperation, (stream: number) => GuestFrame[]]>([
    ["a name that leads away", LIST, (stream) => [data(stream, entry("a/b"))]],
    ["the directory itself", LIST, (stream) => [data(stream, entry("."))]],
    ["the directory above", LIST, (stream) => [data(stream, entry(".."))]],
    ["an empty name", LIST, (stream) => [data(stream, entry(""))]],
    ["a name with a zero", LIST, (stream) => [data(stream, entry("a\0"))]],
    ["a name longer than the frame", LIST, (stream) => [data(stream, entry("a", { length: 2 }))]],
    ["a name of 4 GB", LIST, (stream) => [data(stream, entry("a", { length: 0xffff_ffff }))]],
    ["half an entry", LIST, (stream) => [data(stream, entry("abc").subarray(0, 20))]],
    ["a time that no Date holds", LIST, (stream) => [data(stream, entry("a", { mtime: 1n << 60n }))]],
    ["a mode that no file has", LIST, (stream) => [data(stream, entry("a", { mode: 1 << 20 }))]],
    ["two files for one", STAT, (stream) => [data(stream, entry("")), data(stream, entry(""))]],
    ["a name for a path", STAT, (stream) => [data(stream, entry("a"))]],
    ["no file at all", STAT, (stream) => [done(stream)]],
    ["a file where none was asked for", MKDIR, (stream) => [data(stream, entry(""))]],
    [
      "output of a command",
      MKDIR,
      (stream) => [{ ...data(stream, entry("")), channel: "stdout" } as GuestFrame],
    ],
    ["the exit of a command", MKDIR, (stream) => [{ type: "exit", stream, how: "exited", value: 0 }]],
  ])("is ended for %s", async (_what, operation, frames) => {
    const { backend, id, machine, stream, answer } = await asked(operation);
    machine.send(...frames(stream));
    expect(await failure(answer)).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(machine.terminated).toBe(true);
    expect(await backend.getBox(id)).toMatchObject({ status: "error", errorCode: "PROTOCOL_ERROR" });
  });

  it("cannot fill this side's memory with a directory", async () => {
    const { backend, id, machine, stream, answer } = await asked(LIST);
    const piece = concat(entry("n".repeat(250)), 116);
    for (let sent = 0; sent <= 64 << 20 && !machine.frames.some(({ type }) => type === "abort"); ) {
      machine.send(data(stream, piece));
      sent += piece.byteLength;
      // As a guest that keeps to its credit, which goes back as it is taken in.
      await Promise.resolve();
    }
    const error = await failure(answer);
    expect(error).toMatchObject({
      code: "RUNTIME_ERROR",
      message: "list /srv: the directory has too many entries",
    });
    machine.send(data(stream, piece), { type: "fail", stream, stage: 8, errno: 125, detail: "abort" });
    expect(await backend.getBox(id)).toMatchObject({ status: "running" });
  });

  it("cannot fill it with many short names, either", async () => {
    const { machine, stream, answer } = await asked(LIST);
    const piece = concat(entry("n"), 990);
    for (let sent = 0; sent <= 600 && !machine.frames.some(({ type }) => type === "abort"); sent++) {
      machine.send(data(stream, piece));
      await Promise.resolve();
    }
    expect(await failure(answer)).toMatchObject({ message: "list /srv: the directory has too many entries" });
  });

  it("is ended for going on with a list that was given up, beyond its credit", async () => {
    const controller = new AbortController();
    const { backend, id, machine, stream, answer } = await asked(LIST, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await failure(answer);
    const piece = data(stream, concat(entry("n".repeat(200)), 140));
    for (let sent = 0; sent <= 1 << 20; sent += 140 * 232) machine.send(piece);
    expect(await backend.getBox(id)).toMatchObject({ status: "error", errorCode: "PROTOCOL_ERROR" });
  });

  it("is not waited for without end", async () => {
    vi.useFakeTimers();
    const { machine, stream, answer } = await asked(LIST);
    await vi.advanceTimersByTimeAsync(40_000);
    machine.send(data(stream, entry("a")));
    await vi.advanceTimersByTimeAsync(40_000);
    expect(machine.frames.at(-1)).toMatchObject({ type: "file" });
    await vi.advanceTimersByTimeAsync(21_000);
    expect(await failure(answer)).toMatchObject({
      code: "RUNTIME_ERROR",
      message: "list /srv: the guest does not answer",
    });
    expect(machine.frames.at(-1)).toMatchObject({ type: "abort", stream });
  });
});

describe("an operation on files", () => {
  it("names what the guest refused it with, and what it does not know by its number", async () => {
    const refuse = async (errno: number, stage = 6) => {
      const { machine, stream, answer } = await asked(MKDIR);
      machine.send({ type: "fail", stream, stage, errno, detail: "/srv" });
      return failure(answer);
    };
    expect(await refuse(39)).toMatchObject({ code: "RUNTIME_ERROR", cause: { code: "ENOTEMPTY" } });
    expect(await refuse(28)).toMatchObject({ code: "STORAGE_FULL", cause: { code: "ENOSPC" } });
    expect(await refuse(11, 3)).toMatchObject({ code: "RUNTIME_ERROR", retryable: true });
    expect((await refuse(9999)).message).toBe("mkdir /srv: error 9999");
  });

  it("ends in the guest when its signal aborts", async () => {
    const controller = new AbortController();
    const { machine, stream, answer } = await asked(LIST, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await failure(answer)).toBe(reason);
    await vi.waitFor(() => expect(machine.frames.at(-1)).toMatchObject({ type: "abort", stream }));
  });

  it("rejects when the machine ends, and when it ran no more", async () => {
    const { backend, id, machine, answer } = await asked(LIST);
    machine.failWorker(new Error("out of memory"));
    expect((await failure(answer)).message).toMatch(/out of memory/);
    expect(await failure(backend.fileOperation(id, STAT, {}))).toMatchObject({ code: "BOX_NOT_RUNNING" });
  });

  it("refuses a path that is none before the guest hears of it", async () => {
    const { backend, id, machine } = await asked(LIST);
    const before = machine.frames.length;
    for (const wrong of ["relative", "", "/a\0b", `/${"x".repeat(4095)}`]) {
      const bytes = new TextEncoder().encode(wrong);
      for (const operation of [{ ...STAT, path: bytes }, { op: "rename", path, to: bytes } as FileOperation])
        expect(await failure(backend.fileOperation(id, operation, {}))).toMatchObject({
          code: "VALIDATION_ERROR",
        });
    }
    expect(machine.frames).toHaveLength(before);
  });
});

function concat(bytes: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(bytes.byteLength * times);
  for (let i = 0; i < times; i++) all.set(bytes, i * bytes.byteLength);
  return all;
}
