import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { RelayDialer } from "../../../src/local/network/relay-dialer.js";
import type { RelayClocks } from "../../../src/local/network/relay-session.js";
import { CONNECT_MS } from "../../../src/network/dialer.js";
import {
  closePacket,
  connectPacket,
  continuePacket,
  dataPacket,
  REASON,
  type WispPacket,
} from "../../../src/network/wisp.js";
import { textOf } from "./connections.js";
import { greetOurs, greetPlain, type RelayClient, ScriptedRelay } from "./scripted-relay.js";

const { signal } = new AbortController();
const target = { host: "example.com", port: 80 };
const bytes = (text: string) => new TextEncoder().encode(text);
const closing: { close(): void }[] = [];
afterEach(() => {
  for (const one of closing.splice(0)) one.close();
});

async function start(greet?: typeof greetOurs, clocks: Partial<RelayClocks> = {}) {
  const relay = await ScriptedRelay.start(greet);
  const dialer = new RelayDialer(relay.url, { clocks });
  closing.push(dialer, relay);
  return { relay, dialer };
}

/** Takes packets until one is of this type. */
async function nextOf<T extends WispPacket["type"]>(
  client: RelayClient,
  type: T,
): Promise<Extract<WispPacket, { type: T }>> {
  for (;;) {
    const packet = await client.next();
    if (packet.type === type) return packet as Extract<WispPacket, { type: T }>;
  }
}

/** Opens a connection at a relay that knows our extension, or at another one. */
async function connected(greet = greetOurs, clocks: Partial<RelayClocks> = {}) {
  const { relay, dialer } = await start(greet, clocks);
  const connecting = dialer.connect(target, { signal });
  const client = await relay.client();
  const { stream } = await nextOf(client, "connect");
  client.send(continuePacket(stream, 4));
  return { relay, dialer, client, stream, connection: await connecting };
}

/** Has time pass only as a test tells. */
function stopClock(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => Promise.reject(new Error("it did not fail")),
    (error) => ({ code: error.code, message: error.message }),
  );

describe("connections by a relay", () => {
  it("carry bytes both ways, and each end by itself", async () => {
    const { client, stream, connection } = await connected();
    const writer = connection.writable.getWriter();
    await writer.write(bytes("ping"));
    expect(await nextOf(client, "data")).toMatchObject({ stream, bytes: bytes("ping") });
    await writer.close();
    expect((await nextOf(client, "data")).bytes).toHaveLength(0);
    client.send(dataPacket(stream, bytes("po")));
    client.send(dataPacket(stream, bytes("ng")));
    client.send(dataPacket(stream, new Uint8Array(0)));
    expect(await textOf(connection)).toBe("pong");
  });

  it.each([
    [REASON.refused, "ECONNREFUSED", "connection refused"],
    [REASON.unreachable, "EHOSTUNREACH", "host unreachable"],
    [REASON.timeout, "ETIMEDOUT", "no answer in time"],
    [REASON.blocked, "EACCES", "its rules deny it"],
    [REASON.network, "ECONNREFUSED", "a failure of the network"],
    [0x77, "ECONNREFUSED", "reason 0x77"],
  ])("are refused with reason %i as %s", async (reason, code, words) => {
    const { relay, dialer } = await start();
    const failure = failureOf(dialer.connect(target, { signal }));
    const client = await relay.client();
    const { stream } = await nextOf(client, "connect");
    client.send(closePacket(stream, reason));
    expect(await failure).toEqual({ code, message: `the relay closed the connection: ${words}` });
  });

  it("send no more packets than the relay has room for", async () => {
    const { client, stream, connection, dialer } = await connected();
    const sent: Promise<void>[] = [];
    const writer = connection.writable.getWriter();
    for (const letter of "abcdef") sent.push(writer.write(bytes(letter)));
    for (const letter of "abcd") expect((await nextOf(client, "data")).bytes).toEqual(bytes(letter));
    await sent[3];
    void dialer.connect(target, { signal }).catch(() => {});
    expect(await client.next()).toMatchObject({ type: "connect" });
    client.send(continuePacket(stream, 4));
    expect((await nextOf(client, "data")).bytes).toEqual(bytes("e"));
    await Promise.all(sent);
  });

  it("grant a relay of ours more when what it sent has been read", async () => {
    const { client, stream, connection } = await connected();
    const half = new Uint8Array(2 ** 19);
    client.send(dataPacket(stream, half));
    client.send(dataPacket(stream, half));
    const reader = connection.readable.getReader();
    let count = 0;
    while (count < half.byteLength) count += (await reader.read()).value!.byteLength;
    expect(await nextOf(client, "continue")).toMatchObject({ stream, count });
  });

  it("count as open after a moment at a relay that does not say so, and are refused until then", async () => {
    const { relay, dialer } = await start(greetPlain, { silentMs: 50 });
    const opening = dialer.connect(target, { signal });
    const client = await relay.client();
    const { stream } = await nextOf(client, "connect");
    const connection = await opening;
    client.send(dataPacket(stream, bytes("late")));
    client.send(closePacket(stream, REASON.voluntary));
    expect(await textOf(connection)).toBe("late");
    const refused = failureOf(dialer.connect(target, { signal }));
    client.send(closePacket((await nextOf(client, "connect")).stream, REASON.network));
    expect(await refused).toMatchObject({ code: "ECONNREFUSED" });
  });

  it("wait for the answer of a relay that has once given one", async () => {
    stopClock();
    const { dialer, client } = await connected(greetPlain);
    let isOpen = false;
    const second = dialer.connect(target, { signal }).then(() => (isOpen = true));
    const { stream } = await nextOf(client, "connect");
    vi.advanceTimersByTime(1000);
    await new Promise(setImmediate);
    expect(isOpen).toBe(false);
    client.send(continuePacket(stream, 4));
    await second;
  });

  it("do not wait for an answer of a relay that has only said how many packets it takes", async () => {
    const { relay, dialer } = await start(greetPlain, { silentMs: 50, connectMs: 2000 });
    const opening = dialer.connect(target, { signal });
    const client = await relay.client();
    const { stream } = await nextOf(client, "connect");
    const { readable } = await opening;
    client.send(continuePacket(stream, 4));
    client.send(dataPacket(stream, bytes("x")));
    await readable.getReader().read();
    await dialer.connect(target, { signal });
  });

  it("get the answer to what a box sent before it ended its side, at a relay that knows no such end", async () => {
    const { client, stream, connection } = await connected(greetPlain, { lastWordsMs: 100 });
    await connection.writable.getWriter().close();
    client.send(dataPacket(stream, bytes("answer")));
    client.send(closePacket(stream, REASON.voluntary));
    expect(await textOf(connection)).toBe("answer");
  });

  it("are closed when no answer comes to a box that has ended its side", async () => {
    const { client, stream, connection } = await connected(greetPlain, { lastWordsMs: 50 });
    await connection.writable.getWriter().close();
    expect(await failureOf(textOf(connection))).toMatchObject({ code: "ECONNRESET" });
    expect(await nextOf(client, "close")).toEqual({ type: "close", stream, reason: REASON.voluntary });
  });

  it("are reset on either side", async () => {
    const { client, stream, connection, dialer } = await connected();
    await connection.readable.cancel();
    expect(await nextOf(client, "close")).toEqual({ type: "close", stream, reason: REASON.network });
    const opening = dialer.connect(target, { signal });
    const second = await nextOf(client, "connect");
    client.send(continuePacket(second.stream, 4));
    const other = await opening;
    client.send(closePacket(second.stream, REASON.network));
    expect(await failureOf(textOf(other))).toMatchObject({ code: "ECONNRESET" });
    expect(await failureOf(other.writable.getWriter().closed)).toMatchObject({ code: "ECONNRESET" });
  });

  it("are given up with their signal, and the relay is told", async () => {
    const { relay, dialer } = await start();
    const life = new AbortController();
    const failure = failureOf(dialer.connect(target, { signal: life.signal }));
    const client = await relay.client();
    const { stream } = await nextOf(client, "connect");
    life.abort(new Error("enough"));
    expect((await failure).message).toBe("enough");
    expect(await nextOf(client, "close")).toMatchObject({ stream });
  });

  it("to host.internal are denied, and the relay is not asked", async () => {
    const dialer = new RelayDialer("ws://127.0.0.1:1/");
    const internal = { host: "host.internal", port: 80 };
    expect(await failureOf(dialer.connect(internal, { signal }))).toMatchObject({ code: "EACCES" });
  });
});

describe("a relay", () => {
  it("that dies resets its connections, and is connected to anew for the next one", async () => {
    const { relay, dialer, client, connection } = await connected();
    client.socket.terminate();
    expect(await failureOf(textOf(connection))).toEqual({
      code: "ECONNRESET",
      message: "the WebSocket to the relay was lost",
    });
    const opening = dialer.connect(target, { signal });
    const second = await relay.client();
    second.send(continuePacket((await nextOf(second, "connect")).stream, 4));
    await opening;
  });

  it("that cannot be reached, or says nothing, fails the connection", async () => {
    const ended = await start();
    ended.relay.close();
    expect(await failureOf(ended.dialer.connect(target, { signal }))).toEqual({
      code: "ENETUNREACH",
      message:
        "the relay cannot be reached, or refused the WebSocket: its address or token may be wrong, or it does not allow this page or program",
    });
    const { dialer } = await start(() => {}, { openMs: 50 });
    expect(await failureOf(dialer.connect(target, { signal }))).toEqual({
      code: "ENETUNREACH",
      message: "the relay did not answer",
    });
  });

  it("that leaves a connection unanswered keeps the others, and is given up with the second in vain", async () => {
    const { dialer, relay, client, stream, connection } = await connected(greetOurs, { connectMs: 500 });
    const inVain = () => failureOf(dialer.connect(target, { signal }));
    expect(await inVain()).toMatchObject({ code: "ETIMEDOUT" });
    const reader = connection.readable.getReader();
    client.send(dataPacket(stream, bytes("still there")));
    expect((await reader.read()).value).toEqual(bytes("still there"));
    expect(await inVain()).toMatchObject({ code: "ETIMEDOUT" });
    expect(await inVain()).toMatchObject({ code: "ETIMEDOUT" });
    expect(await failureOf(reader.closed)).toEqual({
      code: "ECONNRESET",
      message: "the relay does not answer any more",
    });
    void inVain();
    expect(await relay.client()).not.toBe(client);
  });

  it("has time to say that an address did not answer in time", async () => {
    const { dialer, client } = await connected();
    stopClock();
    const failure = failureOf(dialer.connect(target, { signal }));
    const { stream } = await nextOf(client, "connect");
    vi.advanceTimersByTime(CONNECT_MS + 5000);
    client.send(closePacket(stream, REASON.timeout));
    expect(await failure).toEqual({
      code: "ETIMEDOUT",
      message: "the relay closed the connection: no answer in time",
    });
  });

  it.each([
    ["text", ({ socket }: RelayClient) => socket.send("hello"), "sent text"],
    ["a packet without a head", ({ send }: RelayClient) => send(new Uint8Array(4)), "without a head"],
    ["a packet that is cut", ({ send }: RelayClient) => send(new Uint8Array([4, 1, 0, 0, 0])), "too short"],
    ["a stream that is none", ({ send }: RelayClient) => send(dataPacket(7, bytes("x"))), "stream 7"],
    ["a CONNECT", ({ send }: RelayClient) => send(connectPacket(1, "a", 1)), "only clients send"],
    ["data for stream 0", ({ send }: RelayClient) => send(dataPacket(0, bytes("x"))), "stream 0"],
    [
      "more than it may",
      ({ send }: RelayClient) => {
        for (let i = 0; i < 9; i++) send(dataPacket(2, new Uint8Array(2 ** 17)));
      },
      "more data than it may send",
    ],
  ])("that sends %s is closed, with its connections", async (_what, misbehave, words) => {
    const { client, dialer } = await connected();
    const opening = dialer.connect(target, { signal });
    client.send(continuePacket((await nextOf(client, "connect")).stream, 4));
    const connection = await opening;
    const closed = new Promise((resolve) => client.socket.once("close", resolve));
    misbehave(client);
    const failure = await failureOf(connection.writable.getWriter().closed);
    expect(failure).toMatchObject({ code: "ECONNRESET", message: expect.stringContaining(words) });
    await closed;
  });

  it("that floods, and cannot be told to stop, loses the connection alone", async () => {
    const { client, stream, connection } = await connected(greetPlain);
    const piece = dataPacket(stream, new Uint8Array(2 ** 20));
    for (let i = 0; i < 65; i++) client.send(piece);
    expect(await failureOf(connection.writable.getWriter().closed)).toEqual({
      code: "ECONNRESET",
      message: "the relay sends faster than the box reads",
    });
    expect(await nextOf(client, "close")).toEqual({ type: "close", stream, reason: REASON.client });
    expect(client.socket.readyState).toBe(client.socket.OPEN);
  });
});
