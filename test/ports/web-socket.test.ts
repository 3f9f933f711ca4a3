import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { WebSocketServer } from "ws";
import type { WebSocketOptions } from "../../src/index.js";
import { openWebSocket } from "../../src/ports/web-socket.js";
import { failure, pattern } from "../../src/testing/contract/tools.js";
import { httpServer, type LocalServer, listen } from "./local-server.js";

const open = ({ port, connect }: LocalServer, options?: WebSocketOptions) =>
  openWebSocket(connect, port, "/chat", options);

/** A server of the package ws, which sends back what it gets. */
async function echo(): Promise<LocalServer & { server: WebSocketServer }> {
  const http = createServer();
  const server = new WebSocketServer({ server: http, perMessageDeflate: true });
  server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on("error", () => {});
  });
  return { ...(await listen(http)), server };
}

/** A server that accepts a WebSocket and then sends these bytes, whatever it gets. */
function sending(...bytes: number[]): Promise<LocalServer> {
  return listen(
    createTcpServer((socket) => {
      socket.once("data", (head) => {
        const key = /sec-websocket-key: (.*)\r\n/i.exec(head.toString())![1]!;
        const accept = createHash("sha1")
          .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest("base64");
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
        );
        socket.write(Buffer.from(bytes));
        socket.resume();
      });
    }),
  );
}

describe("a WebSocket to a port", () => {
  it("carries text and bytes of any length both ways", async () => {
    const socket = await open(await echo());
    const writer = socket.writable.getWriter();
    const reader = socket.readable.getReader();
    for (const message of ["", "ä€😀", "x".repeat(125), "x".repeat(126), "x".repeat(70_000)]) {
      await writer.write(message);
      expect((await reader.read()).value).toBe(message);
    }
    for (const length of [0, 1, 65_535, 65_536, 2_000_000]) {
      await writer.write(pattern(length));
      expect(Buffer.compare((await reader.read()).value as Uint8Array, pattern(length))).toBe(0);
    }
    await socket.close(3000, "done");
    expect(await socket.closed).toEqual({ code: 3000, reason: "done" });
    expect(await reader.read()).toEqual({ done: true, value: undefined });
  });

  it("offers its protocols and headers, and tells which protocol was chosen", async () => {
    const server = await echo();
    const seen = new Promise<string | undefined>((resolve) =>
      server.server.once("connection", (_socket, request) => resolve(request.headers.cookie)),
    );
    const socket = await open(server, { protocols: ["a", "b"], headers: { cookie: "s=1" } });
    expect([socket.protocol, await seen]).toEqual(["a", "s=1"]);
    await socket.close();
  });

  it("answers pings, and joins what comes in pieces with pings in between", async () => {
    const server = await echo();
    const ponged = new Promise<string>((resolve) => {
      server.server.once("connection", (peer) => {
        peer.once("pong", (data) => resolve(String(data)));
        peer.send("first,", { fin: false });
        peer.ping("are you there");
        peer.send("second", { fin: true });
      });
    });
    const { readable, close } = await open(server);
    expect((await readable.getReader().read()).value).toBe("first,second");
    expect(await ponged).toBe("are you there");
    await close();
  });

  it("ends with the code and the reason of the server", async () => {
    const server = await echo();
    server.server.once("connection", (peer) => peer.close(4001, "go away"));
    const socket = await open(server);
    expect(await socket.readable.getReader().read()).toEqual({ done: true, value: undefined });
    expect(await socket.closed).toEqual({ code: 4001, reason: "go away" });
    expect(await failure(socket.writable.getWriter().write("x"))).toMatchObject({
      code: "STREAM_INTERRUPTED",
    });
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("answers pings and sees the end though nobody reads", async () => {
    const server = await echo();
    const ponged = new Promise<void>((resolve) => {
      server.server.once("connection", (peer) => {
        peer.once("pong", () => {
          peer.close(4001, "bye");
          resolve();
        });
        peer.ping();
      });
    });
    const socket = await open(server);
    await ponged;
    expect(await socket.closed).toEqual({ code: 4001, reason: "bye" });
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("closes at once while messages come that nobody reads, and while a read waits", async () => {
    const server = await echo();
    server.server.on("connection", (peer) => {
      for (let i = 0; i < 20; i++) peer.send(`message ${i}`);
    });
    const unread = await open(server);
    await unread.close(3001, "enough");
    expect(await unread.closed).toEqual({ code: 3001, reason: "enough" });
    const read = await open(server);
    const reader = read.readable.getReader();
    for (let i = 0; i < 20; i++) await reader.read();
    const waiting = reader.read();
    await read.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await read.closed).toEqual({ code: 1000, reason: "" });
  });

  it("fails when the connection is cut", async () => {
    const server = await echo();
    server.server.once("connection", (peer) => peer.terminate());
    const socket = await open(server);
    expect(await failure(socket.readable.getReader().read())).toMatchObject({ code: "STREAM_INTERRUPTED" });
    expect(await socket.closed).toEqual({ code: 1006, reason: "" });
  });

  it("is closed when its writer closes, when its reader cancels and when the signal aborts", async () => {
    const server = await echo();
    const stop = new AbortController();
    const sockets = await Promise.all([open(server), open(server), open(server, { signal: stop.signal })]);
    await sockets[0]!.writable.close();
    await sockets[1]!.readable.cancel();
    stop.abort();
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("is refused when the server does not speak it, chooses what was not offered, or answers another key", async () => {
    const plain = await httpServer((_request, response) => response.writeHead(404).end("no"));
    expect(await failure(open(plain))).toMatchObject({ code: "PROTOCOL_ERROR", status: 404 });
    const wrong = await httpServer(() => {});
    const answer = "HTTP/1.1 101 x\r\nsec-websocket-accept: no\r\n\r\n";
    const lying = await listen(createTcpServer((socket) => socket.once("data", () => socket.write(answer))));
    expect(await failure(open(lying))).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect(wrong.open()).toBe(0);
    await vi.waitFor(() => expect(plain.open() + lying.open()).toBe(0));
  });

  it.each<[string, number[]]>([
    ["reserved bits", [0xc1, 0]],
    ["an opcode that is none", [0x83, 0]],
    ["a mask", [0x81, 0x81, 0, 0, 0, 0, 0x61]],
    ["a control frame in pieces", [0x09, 0]],
    ["a control frame that is long", [0x89, 126, 0, 126]],
    ["a continuation of nothing", [0x80, 0]],
    ["a message within another", [0x01, 1, 0x61, 0x81, 1, 0x61]],
    ["text that is not UTF-8", [0x81, 1, 0xff]],
    ["a message that is too large", [0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]],
  ])("refuses %s", async (_what, bytes) => {
    const server = await sending(...bytes);
    const socket = await open(server);
    expect(await failure(socket.readable.getReader().read())).toMatchObject({ code: "STREAM_INTERRUPTED" });
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("refuses a code, a reason and a message that are wrong", async () => {
    const socket = await open(await echo());
    for (const [code, reason] of [
      [1001, ""],
      [5000, ""],
      [1000, "x".repeat(124)],
    ] as const)
      expect(await failure(socket.close(code, reason))).toMatchObject({ code: "VALIDATION_ERROR" });
    await socket.close();
  });
});
