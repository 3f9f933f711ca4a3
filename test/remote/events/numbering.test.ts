import { describe, expect, it } from "vitest";
import { EventOrder, EventOrders } from "../../../src/remote/events/event-order.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { ENDED, exit, follow, isEvents, json, log, OURS, PLAIN, serve, sse } from "../servers.js";

/** A server whose connections each send one of these, the last one from then on. */
async function sending(info: object, ...connections: string[]) {
  let count = 0;
  return serve(info, (request, response) => {
    if (!isEvents(request)) return json(response, ENDED);
    sse(response).end(connections[Math.min(count++, connections.length - 1)]);
  });
}

describe("the numbers of a server's events", () => {
  it.each([
    ["from 0", [0, 1, 2]],
    ["from 1", [1, 2, 3]],
    ["from below 0", [-2, -1, 0]],
    ["with gaps", [3, 70, 71]],
    ["backwards", [9, 8, 7]],
    ["out of order", [1, 0, 2]],
  ])("may go %s: nothing is lost, and the positions are 1, 2, 3", async (_, [a, b, c]) => {
    const all = log(a!, "a") + log(b!, "b", "stderr") + log(c!, "c") + exit(100, 3);
    const whole = ["stdout 1 a", "stderr 2 b", "stdout 3 c", "exit 4 3"];
    const { backend } = await sending(PLAIN, all);
    expect(await follow(backend)).toEqual(whole);
    // The first connection ends early, and the second begins anew.
    const { backend: other } = await sending(PLAIN, log(a!, "a") + log(b!, "b", "stderr"), all);
    expect(await follow(other)).toEqual(whole);
  });

  it("may come again, the exit's too: each event is told once", async () => {
    const twice = log(0, "a") + log(0, "a") + log(1, "b") + log(0, "a") + exit(2, 3) + exit(2, 4);
    const { backend } = await sending(PLAIN, twice);
    expect(await follow(backend)).toEqual(["stdout 1 a", "stdout 2 b", "exit 3 3"]);
  });

  it("must not be given to two events", async () => {
    const { backend } = await sending(PLAIN, log(0, "a") + log(0, "b") + exit(1, 0));
    const error = await failure(follow(backend));
    expect(error).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(error.message).toMatch(/two events have the number 0/);
  });

  it("must grow on a server that has cursors", async () => {
    const { backend } = await sending(OURS, log(2, "a") + log(1, "b") + exit(3, 0));
    expect(await failure(follow(backend))).toMatchObject({
      code: "PROTOCOL_ERROR",
      message: expect.stringContaining("expected an event after 2, got number 1"),
    });
  });

  it("are positions where a server has cursors, gaps and all", async () => {
    const { backend, server } = await sending(OURS, log(2, "a"), log(7, "b") + exit(9, 3));
    expect(await follow(backend)).toEqual(["stdout 2 a", "stdout 7 b", "exit 9 3"]);
    expect(server.seen.filter(isEvents).map(({ path }) => path.split("?")[1])).toEqual([
      "bytes=1",
      "bytes=1&after=2",
    ]);
  });
});

it("a server of ours that stands before a published one, and has no cursors, sends everything again", async () => {
  const info = { ...OURS, capabilities: OURS.capabilities.filter((name) => name !== "cursor") };
  const { backend } = await sending(info, log(1, "a"), log(1, "a") + log(2, "b") + exit(3, 3));
  expect(await follow(backend)).toEqual(["stdout 1 a", "stdout 2 b", "exit 3 3"]);
});

describe("positions", () => {
  const LIVE = log(0, "a") + log(2, "c") + log(1, "b");
  const REPLAY = log(0, "a") + log(1, "b") + log(2, "c") + log(3, "d") + exit(4, 3);
  const WHOLE = ["stdout 1 a", "stdout 2 c", "stdout 3 b", "stdout 4 d", "exit 5 3"];

  it("are those of the first delivery for every later reader, though a server replays by number", async () => {
    const { backend } = await sending(PLAIN, LIVE, REPLAY);
    expect(await follow(backend)).toEqual(WHOLE);
    expect(await follow(backend)).toEqual(WHOLE);
  });

  it.each([1, 2, 3, 4])("are what `after` refers to: after %i comes the rest, once", async (after) => {
    const { backend } = await sending(PLAIN, LIVE, REPLAY);
    await follow(backend);
    expect(await follow(backend, { after })).toEqual(WHOLE.slice(after));
  });

  it("hold up nobody for what a server has dropped since", async () => {
    const { backend } = await sending(PLAIN, REPLAY, log(0, "a") + log(3, "d") + exit(4, 3));
    await follow(backend);
    expect(await follow(backend)).toEqual(["stdout 1 a", "stdout 4 d", "exit 5 3"]);
  });
});

describe("the memory of numbers", () => {
  /** Numbers as a stream brings them. Returns their positions. */
  const bring = (order: EventOrder, numbers: number[]) =>
    numbers.map((seq, i) => order.positionOf(seq, i + 1));
  const upTo = (count: number, seqOf: (i: number) => number) =>
    Array.from({ length: count }, (_, i) => seqOf(i));

  it.each([
    ["upwards", (i: number) => i],
    ["downwards", (i: number) => -i],
  ])("is next to nothing for numbers that go %s", (_, seqOf) => {
    const order = new EventOrder(1);
    const numbers = upTo(1000, seqOf);
    const positions = upTo(1000, (i) => i + 1);
    expect(bring(order, numbers)).toEqual(positions);
    expect(bring(order, numbers)).toEqual(positions);
    expect(order.positionOf(5000, 1001)).toBe(1001);
  });

  it.each([
    ["gaps", (i: number) => 2 * i],
    ["pairs in the wrong order", (i: number) => i ^ 1],
  ])("has a limit, beyond which a replay is counted: %s", (_, seqOf) => {
    const order = new EventOrder(10);
    const numbers = upTo(1000, seqOf);
    expect(bring(order, numbers)).toEqual(upTo(1000, (i) => i + 1));
    const again = [...numbers].sort((a, b) => a - b);
    const found = bring(order, again);
    expect([...found].sort((a, b) => a! - b!)).toEqual(upTo(1000, (i) => i + 1));
    expect(order.count).toBe(1000);
    // Long after, such a number is known to have been there.
    expect(order.positionOf(0, 1001)).toBeUndefined();
  });

  it("is one for all executions: those that were read longest ago are given up first", () => {
    const orders = new EventOrders(1000);
    const gaps = upTo(300, (i) => 2 * i);
    for (let i = 0; i < 50; i++) {
      bring(orders.of(`exec_${i}`), gaps);
      // While they are being read, too.
      expect(orders.breaks).toBeLessThanOrEqual(1000);
    }
    expect(orders.of("exec_49").count).toBe(300);
    expect(orders.of("exec_47").count).toBe(300);
    expect(orders.of("exec_46").count).toBe(0);
    expect(orders.of("exec_0").count).toBe(0);
  });

  it("does not take an order from its reader", () => {
    const orders = new EventOrders(10);
    const order = orders.of("exec_0");
    const gaps = upTo(300, (i) => 2 * i);
    expect(bring(order, gaps)).toEqual(upTo(300, (i) => i + 1));
    expect(bring(order, gaps)).toEqual(upTo(300, (i) => i + 1));
    expect(orders.breaks).toBe(0);
  });

  it("refuses numbers that make no sense, rather than growing without end", () => {
    const order = new EventOrder(10);
    expect(() =>
      bring(
        order,
        upTo(1000, (i) => -2 * i),
      ),
    ).toThrow(expect.objectContaining({ code: "PROTOCOL_ERROR" }));
  });
});
