import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { nodeDialer } from "../../../src/local/network/dialer-node.js";
import { RelayDialer } from "../../../src/local/network/relay-dialer.js";
import {
  closePacket,
  connectPacket,
  continuePacket,
  dataPacket,
  infoPacket,
  REASON,
  readPacket,
  type WispPacket,
} from "../../../src/network/wisp.js";
import { createHandler } from "../../../src/server/handler.js";
import { serve } from "../../../src/server/node/serve.js";
import type { RelayOptions } from "../../../src/server/options.js";
import { Relay } from "../../../src/server/relay.js";
import type { ServeOptions } from "../../../src/server/serve-types.js";
import type { ServerSocket } from "../../../src/server/terminal.js";
import { deferred } from "../../../src/util/deferred.js";
import { codeOf, send, textOf } from "../../local/network/connections.js";
import { ScriptedBackend } from "../scripted-backend.js";

const { signal } = new AbortController();
/** All names lead to this machine. */
const dialer = nodeDialer({ lookup: async () => ["127.0.0.1"] });
/** Rules that let nothing else be reached, and this by names alone. */
const HERE = { allow: ["*.example.com", "127.0.0.1/32:1-65535", "192.0.2.1"] };

async function startRelay(relay: RelayOptions = {}, options: ServeOptions = {}) {
  const server = await serve(new ScriptedBackend(), {
    port: 0,
    relay: { dialer, token: "s3cret", ...HERE, ...relay },
    ...options,
  });
  onTestFinished(() => server.close());
  return { server, place: server.addresses[0]!.replace("http:", "ws:") };
}

async function relayed(relay: RelayOptions = {}) {
  const { place, server } = await startRelay(relay);
  const client = new RelayDialer(`${place}/v1/relay/?token=s3cret`);
  onTestFinished(() => client.close());
  const connect = (port: number, host = "a.example.com") => client.connect({ host, port }, { signal });
  return { place, server, connect };
}

/** Starts a server of TCP, to which the names lead. */
async function listen(onSocket: (socket: Socket) => void) {
  const accepted = deferred<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    onSocket(socket);
    accepted.resolve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as { port: number }).port, accepted: accepted.promise };
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Opens a WebSocket. Resolves to it, or to the status with which it was refused. */
async function open(url: string, options: { origin?: string; protocols?: string[] } = {}) {
  const { protocols = [], ...rest } = options;
  const socket = new WebSocket(url, protocols, rest);
  onTestFinished(() => socket.terminate());
  const packets: WispPacket[] = [];
  let wake = () => {};
  socket.on("message", (data: Buffer) => {
    packets.push(readPacket(new Uint8Array(data)));
    wake();
  });
  const status = await new Promise<number>((resolve) => {
    socket.once("open", () => resolve(101));
    socket.once("unexpected-response", (_request, response) => resolve(response.statusCode!));
    socket.once("error", () => {});
  });
  const next = async (type: WispPacket["type"]): Promise<WispPacket> => {
    for (;;) {
      const found = packets.shift();
      if (found?.type === type) return found;
      if (!found) await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { socket, status, next };
}

/** WebSocket of a client that reads nothing. */
class UnreadSocket implements ServerSocket {
  bufferedAmount = 0;
  sent = 0;
  closedWith: number | undefined;
  leave = () => {};
  private onMessage = (_event: { data: unknown }) => {};
  send(data: string | Uint8Array): void {
    this.sent++;
    this.bufferedAmount += data.length;
  }
  close(code?: number): void {
    this.closedWith = code;
  }
  addEventListener(type: string, listener: (event: never) => void): void {
    if (type === "message") this.onMessage = listener as typeof this.onMessage;
    if (type === "close") this.leave = listener as () => void;
  }
  receive(data: unknown): void {
    this.onMessage({ data });
  }
}

describe("the relay of a server", () => {
  it("makes connections, whose two directions end by themselves", async () => {
    const { connect } = await relayed();
    const { port } = await listen((socket) => socket.pipe(socket));
    const connection = await connect(port);
    const answer = textOf(connection);
    await send(connection, "hello");
    expect(await answer).toBe("hello");
  });

  it("carries megabytes both ways at once, at the pace of who reads", async () => {
    const { connect } = await relayed();
    const { port } = await listen((socket) => socket.pipe(socket));
    const { readable, writable } = await connect(port);
    const writer = writable.getWriter();
    const piece = Uint8Array.from({ length: 2 ** 20 }, (_, i) => (i * 7919) >> 3);
    const sent = (async () => {
      for (let i = 0; i < 16; i++) await writer.write(piece);
      await writer.close();
    })();
    let count = 0;
    let isSame = true;
    for await (const chunk of readable)
      for (const byte of chunk) if (byte !== piece[count++ % piece.byteLength]) isSame = false;
    await sent;
    expect([count, isSame]).toEqual([16 * piece.byteLength, true]);
  });

  it("does not read ahead of a client that does not read", async () => {
    const { connect } = await relayed();
    const { port, accepted } = await listen((socket) => {
      socket.write(Buffer.alloc(32 * 2 ** 20));
    });
    const connection = await connect(port);
    const socket = await accepted;
    const reader = connection.readable.getReader();
    await reader.read();
    expect(socket.writableLength).toBeGreaterThan(2 ** 20);
    let count = 0;
    socket.end();
    for (let next = await reader.read(); !next.done; next = await reader.read())
      count += next.value.byteLength;
    expect(count).toBeGreaterThan(31 * 2 ** 20);
  });

  it("sends a client that grants bytes no more than these", async () => {
    const { place } = await startRelay();
    const { port } = await listen((socket) => socket.write(Buffer.alloc(2 ** 20)));
    const { socket, next } = await open(`${place}/v1/relay/s3cret/`);
    socket.send(infoPacket(100_000));
    socket.send(connectPacket(1, "a.example.com", port));
    const receive = async (count: number) => {
      let received = 0;
      while (received < count) {
        const packet = await next("data");
        if (packet.type === "data") received += packet.bytes.byteLength;
      }
      return received;
    };
    expect(await receive(100_000)).toBe(100_000);
    socket.send(continuePacket(1, 50_000));
    expect(await receive(50_000)).toBe(50_000);
  });

  it("says why it makes no connection", async () => {
    const { connect } = await relayed();
    const port = await closedPort();
    expect(await codeOf(connect(port))).toBe("ECONNREFUSED");
    expect(await codeOf(connect(port, "example.org"))).toBe("EACCES");
    expect(await codeOf(connect(port, "169.254.169.254"))).toBe("EACCES");
    expect(await codeOf(connect(0))).toBe("EACCES");
  });

  it("connects to public addresses alone, unless its rules name others", async () => {
    const { port } = await listen(() => {});
    const { connect } = await relayed({ allow: ["*"] });
    for (const host of ["a.example.com", "127.0.0.1", "::1", "10.0.0.1", "localhost"])
      expect(await codeOf(connect(port, host)), host).toBe("EACCES");
  });

  it("passes resets on, in both directions", async () => {
    const { connect } = await relayed();
    const { port, accepted } = await listen((socket) => socket.resume());
    const first = await connect(port);
    const socket = await accepted;
    const reset = once(socket, "error");
    await first.writable.abort();
    expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
    const other = await listen((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const second = await connect(other.port);
    await second.writable.getWriter().write(new Uint8Array(1));
    expect(await codeOf(textOf(second))).toBe("ECONNRESET");
  });

  it("is opened with its token alone: in the query, in the path or as a sub-protocol", async () => {
    const { place } = await startRelay({ token: "a+b/c" }, { token: "other" });
    const statusOf = async (path: string, options = {}) => (await open(`${place}${path}`, options)).status;
    expect(await statusOf("/v1/relay/?token=a+b/c")).toBe(101);
    expect(await statusOf("/v1/relay/?token=a%2Bb%2Fc")).toBe(101);
    expect(await statusOf("/v1/relay/a%2Bb%2Fc/")).toBe(101);
    expect(await statusOf("/v1/relay/", { protocols: ["boxrun", "boxrun.token.YStiL2M"] })).toBe(101);
    for (const path of ["/v1/relay/", "/v1/relay/?token=other", "/v1/relay/x/", "/v1/relay/%ff/"])
      expect(await statusOf(path), path).toBe(401);
    expect(await statusOf("/v1/relay/a%2Bb%2Fc/x/")).toBe(404);
    // In a browser's address bar.
    const page = await fetch(`${place.replace("ws:", "http:")}/v1/relay/?token=a+b/c`);
    expect([page.status, page.headers.get("upgrade")]).toEqual([426, "websocket"]);
    expect(await page.text()).toContain("open it as a WebSocket");
  });

  it("takes the server's token where it has none of its own, and is there for allowed pages", async () => {
    const { place } = await startRelay({ token: undefined as never }, { token: "other" });
    const url = `${place}/v1/relay/?token=other`;
    expect((await open(url)).status).toBe(101);
    expect((await open(url, { origin: "https://evil.example" })).status).toBe(403);
  });

  it("is not there unless it is asked for, and not without a token", async () => {
    const server = await serve(new ScriptedBackend(), { port: 0 });
    onTestFinished(() => server.close());
    const place = server.addresses[0]!.replace("http:", "ws:");
    expect((await open(`${place}/v1/relay/?token=x`)).status).toBe(404);
    await expect(serve(new ScriptedBackend(), { port: 0, relay: {} })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("needs a token"),
    });
    const own = { port: 0, token: "x", relay: { token: "x" } };
    await expect(serve(new ScriptedBackend(), own)).rejects.toThrow("another than the server's token");
    const relay = { token: "x", allow: ["http://a"] };
    await expect(serve(new ScriptedBackend(), { port: 0, relay })).rejects.toThrow("relay.allow[0]");
    expect(() => createHandler(new ScriptedBackend(), { relay: { token: "x" } })).toThrow("relay.dialer");
  });

  it("ends with its server, and its connections with it", async () => {
    const { connect, server } = await relayed();
    const { port, accepted } = await listen((socket) => socket.resume());
    const connection = await connect(port);
    const ended = deferred();
    (await accepted).once("close", () => ended.resolve());
    await server.close();
    expect(await codeOf(textOf(connection))).toBe("ECONNRESET");
    await ended.promise;
  });

  it("closes, for a client that knows no more than Wisp, when the far side ends, after all it sent", async () => {
    const { place } = await startRelay();
    const { port } = await listen((socket) => socket.end("bye"));
    const { socket, next } = await open(`${place}/v1/relay/s3cret/`);
    socket.send(connectPacket(9, "a.example.com", port));
    expect(await next("data")).toMatchObject({ stream: 9, bytes: new TextEncoder().encode("bye") });
    expect(await next("close")).toEqual({ type: "close", stream: 9, reason: REASON.voluntary });
  });

  it("gives the far side all that a client sent before it closed a stream", async () => {
    const { place } = await startRelay();
    let received = 0;
    const ended = deferred();
    const { port } = await listen((socket) => {
      socket.on("data", (data) => (received += data.length));
      socket.on("end", () => ended.resolve());
    });
    const { socket } = await open(`${place}/v1/relay/s3cret/`);
    socket.send(connectPacket(1, "a.example.com", port));
    for (let i = 0; i < 64; i++) socket.send(dataPacket(1, new Uint8Array(2 ** 16)));
    socket.send(closePacket(1, REASON.voluntary));
    await ended.promise;
    expect(received).toBe(64 * 2 ** 16);
  });

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
