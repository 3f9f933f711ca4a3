import { describe, expect, it } from "vitest";
import { ExecutionLog } from "../../../src/local/boxes/execution-log.js";

const LIMIT = 10_000;

function makeLog() {
  const released: number[] = [];
  let room = LIMIT;
  const takeRoom = (bytes: number) => {
    if (bytes > room) return false;
    room -= bytes;
    return true;
  };
  const log = new ExecutionLog(takeRoom, (bytes) => released.push(bytes));
  return { log, released, total: () => released.reduce((sum, bytes) => sum + bytes, 0) };
}

describe("ExecutionLog", () => {
  it("replays to any number of readers, from any cursor", async () => {
    const { log } = makeLog();
    log.append("stdout", bytes(3, 1));
    log.append("stderr", bytes(2, 2));
    log.finish(7);
    const all = await collect(log.read(0));
    expect(all.map((event) => event.seq)).toEqual([1, 2, 3]);
    expect(all.at(-1)).toEqual({ type: "exit", exitCode: 7, seq: 3 });
    expect(await collect(log.read(0))).toEqual(all);
    expect(await collect(log.read(1))).toEqual(all.slice(1));
    expect(await collect(log.read(2))).toEqual(all.slice(2));
  });

  it("never makes the command wait below its limit", () => {
    const { log, total } = makeLog();
    for (let i = 0; i < 8; i++) log.append("stdout", bytes(1000));
    expect(total()).toBe(8000);
    expect(log.droppedBytes).toBe(0);
  });

  it("drops what nobody reads beyond its limit, and counts it", async () => {
    const { log, total } = makeLog();
    for (let i = 0; i < 20; i++) log.append("stdout", bytes(1000));
    log.finish(0);
    expect(total()).toBe(20_000);
    const kept = (await collect(log.read(0))).filter((event) => event.type === "log").length;
    expect(kept).toBe(8);
    expect(log.droppedBytes).toBe(12_000);
  });

  it("does not keep the large message that a small piece came in", async () => {
    const { log } = makeLog();
    log.append("stdout", new Uint8Array(32_768).subarray(0, 1));
    const first = await log.read(0).next();
    expect((first.value as { bytes: Uint8Array }).bytes.buffer.byteLength).toBe(1);
  });

  it("counts many small entries by what they cost, not by their bytes", () => {
    const { log } = makeLog();
    for (let i = 0; i < 1000; i++) log.append("stdout", bytes(1));
    expect(log.droppedBytes).toBeGreaterThan(900);
  });

  it("holds the command beyond its limit until the slowest reader has taken what there is", async () => {
    const { log, total } = makeLog();
    const fast = log.read(0);
    const slow = log.read(0);
    log.append("stdout", bytes(1000));
    await fast.next();
    await slow.next();
    for (let i = 0; i < 19; i++) log.append("stdout", bytes(1000));
    expect(total()).toBe(8000);
    for (let i = 0; i < 15; i++) await fast.next();
    expect(total()).toBe(8000);
    for (let i = 0; i < 15; i++) await slow.next();
    expect(total()).toBe(15_000);
    // A reader that leaves holds up nobody.
    await slow.return();
    for (let i = 0; i < 4; i++) await fast.next();
    log.finish(0);
    expect(await fast.next()).toMatchObject({ value: { type: "exit" } });
    await fast.next();
    expect(total()).toBe(20_000);
    expect(log.droppedBytes).toBe(0);
  });

  it("lets go of everything when its last reader leaves", async () => {
    const { log, total } = makeLog();
    const reader = log.read(0);
    log.append("stdout", bytes(1000));
    await reader.next();
    for (let i = 0; i < 19; i++) log.append("stdout", bytes(1000));
    await reader.return();
    expect(total()).toBe(20_000);
    expect(log.droppedBytes).toBe(12_000);
  });

  it("waits for nobody once the command is being ended", async () => {
    const { log, total } = makeLog();
    const reader = log.read(0);
    log.append("stdout", bytes(1000));
    await reader.next();
    for (let i = 0; i < 10; i++) log.append("stdout", bytes(1000));
    log.stopPacing();
    log.append("stdout", bytes(1000));
    expect(total()).toBe(12_000);
    log.finish(null);
    expect((await collect(reader)).at(-1)).toMatchObject({ type: "exit", exitCode: null });
  });

  it("gives readers what there is, then the failure", async () => {
    const { log } = makeLog();
    log.append("stdout", bytes(1));
    const reason = new Error("the machine is gone");
    const reader = log.read(0);
    await reader.next();
    const pending = reader.next();
    log.fail(reason);
    await expect(pending).rejects.toBe(reason);
    const late = log.read(0);
    expect(await late.next()).toMatchObject({ value: { type: "log" } });
    await expect(late.next()).rejects.toBe(reason);
  });

  it("rejects a waiting reader with the signal's reason", async () => {
    const { log } = makeLog();
    const controller = new AbortController();
    const pending = log.read(0, controller.signal).next();
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
  });

  it("gives a late reader 300,000 single bytes, one by one, in a time that grows with their number", async () => {
    const COUNT = 300_000;
    const { log, total } = makeLog();
    const first = log.read(0);
    const opened = first.next();
    for (let i = 0; i < COUNT; i++) log.append("stdout", bytes(1, i));
    await opened;
    let seen = 1;
    for await (const event of first) {
      if (event.seq !== ++seen) throw new Error(`${event.seq} after ${seen - 1}`);
      if (seen === COUNT / 2) log.finish(0);
    }
    expect(seen).toBe(COUNT + 1);
    expect(total()).toBe(COUNT);
    // It takes less than one; where each piece costs as much as there are pieces, forty.
  }, 15_000);

  it("drops what a reader has not taken when nothing waits any more, once", async () => {
    const { log, total } = makeLog();
    const reader = log.read(0);
    const opened = reader.next();
    for (let i = 0; i < 40; i++) log.append("stdout", bytes(1000));
    await opened;
    for (let i = 0; i < 15; i++) await reader.next();
    log.stopPacing();
    log.finish(0);
    expect(total()).toBe(40_000);
    expect(log.droppedBytes).toBe(25_000);
    expect(await collect(reader)).toEqual([{ type: "exit", exitCode: 0, seq: 41 }]);
  });

  it("ends a reader that begins after the end, or far beyond it", async () => {
    const { log } = makeLog();
    log.append("stdout", new Uint8Array([1]));
    const late = log.read(Number.MAX_SAFE_INTEGER).next();
    log.finish(0);
    expect(await late).toMatchObject({ done: true });
    expect(await log.read(2).next()).toMatchObject({ done: true });
  });
});

function bytes(length: number, fill = 0): Uint8Array {
  return new Uint8Array(length).fill(fill);
}

async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}
