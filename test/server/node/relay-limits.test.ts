import { once } from "node:events";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { connectPacket, continuePacket, dataPacket, infoPacket, REASON } from "../../../src/network/wisp.js";
import { Relay } from "../../../src/server/relay.js";
import type { ServerSocket } from "../../../src/server/terminal.js";

import { dialer, HERE, listen, open, startRelay, UnreadSocket } from "./relay-setup.js";

describe("the limits of a relay", () => {
  it("cuts a stream whose client sends more than there is room for, and no other", async () => {
    const { place } = await startRelay();
    const { port } = await listen((socket) => socket.pause());
    const { socket, next } = await open(`${place}/v1/relay/s3cret/`);
    socket.send(connectPacket(1, "a.example.com", port));
    for (let i = 0; i < 40; i++) socket.send(dataPacket(1, new Uint8Array(2 ** 19)));
    expect(await next("close")).toEqual({ type: "close", stream: 1, reason: REASON.throttled });
    socket.send(connectPacket(2, "a.example.com", port));
    expect(await next("continue")).toMatchObject({ stream: 2 });
  });

  it("has 256 streams for a client, and 200 new ones at once", async () => {
    const { place } = await startRelay();
    const { port } = await listen(() => {});
    const { socket, next } = await open(`${place}/v1/relay/s3cret/`);
    for (let id = 1; id <= 257; id++) socket.send(connectPacket(id, "a.example.com", port));
    expect(await next("close")).toMatchObject({
      reason: expect.toSatisfy((one) => one === REASON.blocked || one === REASON.throttled),
    });
  });

  it.each([
    ["text", "hello"],
    ["a packet without a head", new Uint8Array(4)],
    ["a CONNECT for stream 0", connectPacket(0, "a.example.com", 1)],
    ["a CONNECT that is cut", connectPacket(1, "", 1).subarray(0, 7)],
    ["a name that is too long", connectPacket(1, "a".repeat(254), 1)],
  ])("closes a client that sends %s", async (_what, message) => {
    const { place } = await startRelay();
    const { socket } = await open(`${place}/v1/relay/s3cret/`);
    socket.send(message);
    expect((await once(socket, "close"))[0]).toBe(1002);
  });

  it("closes a client that asks for ever and does not read", async () => {
    const socket = new UnreadSocket();
    const serving = new Relay(dialer, HERE).serve(socket);
    const limit = 4 * 2 ** 20;
    socket.bufferedAmount = limit - 1000;
    for (let id = 1; id <= 1000; id++) socket.receive(connectPacket(id, "a", 0).buffer);
    expect(socket.closedWith).toBe(1002);
    expect(socket.bufferedAmount).toBeLessThan(limit + 10);
    await serving;
  });

  it("closes a client whose unread answers are small, before they take much memory", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => server.close());
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const client = new WebSocket(`ws://127.0.0.1:${port}`);
    onTestFinished(() => client.terminate());
    const [socket] = (await once(server, "connection")) as [WebSocket];
    if (client.readyState !== WebSocket.OPEN) await once(client, "open");
    client.pause();
    while (socket.bufferedAmount === 0) {
      socket.send(Buffer.alloc(2 ** 16));
      await new Promise(setImmediate);
    }
    let waiting = 0;
    let most = 0;
    const send = socket.send.bind(socket) as (data: Uint8Array, sent: () => void) => void;
    socket.send = (data: unknown) => {
      most = Math.max(most, ++waiting);
      send(data as Uint8Array, () => waiting--);
    };
    let isServing = true;
    const serving = new Relay(dialer, HERE).serve(socket as ServerSocket).then(() => {
      isServing = false;
    });
    const ask = connectPacket(1, "a", 0);
    while (isServing) {
      for (let i = 0; i < 5000; i++) client.send(ask);
      await new Promise<void>((resolve) => client.send(ask, () => setImmediate(resolve)));
    }
    await serving;
    expect(most).toBeGreaterThan(1000);
    expect(most).toBeLessThan(20_000);
  });

  it("cuts a client that pings for ever and does not read", async () => {
    const { place } = await startRelay();
    const { socket } = await open(`${place}/v1/relay/s3cret/`);
    let isOpen = true;
    socket.on("error", () => {});
    socket.on("close", () => {
      isOpen = false;
    });
    socket.pause();
    const payload = Buffer.alloc(125);
    while (isOpen) {
      for (let i = 0; i < 5000 && socket.readyState === WebSocket.OPEN; i++) socket.ping(payload);
      await new Promise<void>((resolve) => socket.ping(payload, true, () => setImmediate(resolve)));
    }
    expect(isOpen).toBe(false);
  });

  it("holds small packets of the far side back for a client that does not read", async () => {
    const socket = new UnreadSocket();
    const pull = (controller: ReadableStreamDefaultController) => controller.enqueue(new Uint8Array(1));
    const connect = async () => ({ readable: new ReadableStream({ pull }), writable: new WritableStream() });
    const serving = new Relay({ connect }, { allow: ["a"] }).serve(socket);
    for (let id = 1; id <= 3; id++) socket.receive(connectPacket(id, "a", 80).buffer);
    await vi.waitUntil(() => socket.sent > 4096);
    await new Promise(setImmediate);
    const { sent } = socket;
    expect(sent).toBeLessThan(4200);
    expect(socket.closedWith).toBeUndefined();
    // Once it has read, the rest comes.
    socket.bufferedAmount = 0;
    await vi.waitUntil(() => socket.sent > sent + 4000);
    socket.leave();
    await serving;
  });

  it("keeps a client that reads slowly, however many streams get room at once", async () => {
    const socket = new UnreadSocket();
    const piece = new Uint8Array(2 ** 16);
    const pull = (controller: ReadableStreamDefaultController) => controller.enqueue(piece);
    const connect = async () => ({ readable: new ReadableStream({ pull }), writable: new WritableStream() });
    const serving = new Relay({ connect }, { allow: ["a"] }).serve(socket);
    socket.receive(infoPacket(0).buffer);
    for (let id = 1; id <= 150; id++) socket.receive(connectPacket(id, "a", 80).buffer);
    await vi.waitUntil(() => socket.sent === 152);
    for (let id = 1; id <= 150; id++) socket.receive(continuePacket(id, 2 ** 20).buffer);
    await vi.waitUntil(() => socket.bufferedAmount > 2 ** 20);
    await new Promise(setImmediate);
    expect(socket.bufferedAmount).toBeLessThan(2 ** 20 + 2 ** 17);
    expect(socket.closedWith).toBeUndefined();
    socket.leave();
    await serving;
  });

  it("has 64 clients", async () => {
    const { place } = await startRelay();
    for (let i = 0; i < 64; i++) await (await open(`${place}/v1/relay/s3cret/`)).next("continue");
    const { socket } = await open(`${place}/v1/relay/s3cret/`);
    expect((await once(socket, "close"))[0]).toBe(1013);
  });
});
