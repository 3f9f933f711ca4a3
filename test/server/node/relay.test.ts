import { once } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  closePacket,
  connectPacket,
  continuePacket,
  dataPacket,
  infoPacket,
  REASON,
} from "../../../src/network/wisp.js";
import { createHandler } from "../../../src/server/handler.js";
import { serve } from "../../../src/server/node/serve.js";
import { deferred } from "../../../src/util/deferred.js";
import { codeOf, send, textOf } from "../../local/network/connections.js";
import { ScriptedBackend } from "../scripted-backend.js";

import { closedPort, listen, open, relayed, startRelay } from "./relay-setup.js";

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
});
