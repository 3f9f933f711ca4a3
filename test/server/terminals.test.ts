import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Terminal } from "../../src/backend/backend.js";
import { type BoxHandle, BoxRunClient, type ClientOptions } from "../../src/index.js";
import type { ServeOptions } from "../../src/node.js";
import { serve } from "../../src/server/node/serve.js";
import { type ServerSocket, serveTerminal } from "../../src/server/terminal.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { deferred } from "../../src/util/deferred.js";

let backend: FakeBackend;
beforeEach(() => {
  backend = new FakeBackend({
    programs: {
      flood: async ({ cmd, write }) => {
        const line = `${"x".repeat(65_535)}\n`;
        for (let i = 0; i < Number(cmd[1]); i++) write(line);
      },
      term: ({ env, write }) => write(`${env["TERM"]}\n`),
    },
  });
});

async function startServer(options: ServeOptions = {}): Promise<string> {
  const server = await serve(backend, { port: 0, ...options });
  onTestFinished(() => server.close());
  return server.addresses[0]!;
}

function clientOf(options: ClientOptions): BoxRunClient {
  const client = new BoxRunClient({ backend: "remote", ...options });
  onTestFinished(() => client.close());
  return client;
}

async function newBox(serveOptions: ServeOptions = {}, options: ClientOptions = {}): Promise<BoxHandle> {
  const baseUrl = await startServer(serveOptions);
  return clientOf({ baseUrl, ...options }).create("fake");
}

/** All that a terminal prints until it has ended. */
const textOf = (terminal: Terminal) => new Response(terminal.readable).text();

async function type(terminal: Terminal, ...chunks: (string | Uint8Array)[]): Promise<void> {
  const writer = terminal.writable.getWriter();
  for (const chunk of chunks) await writer.write(chunk);
  writer.releaseLock();
}

/** Reads until the text is there. */
async function until(reader: ReadableStreamDefaultReader<Uint8Array>, text: string): Promise<void> {
  const decoder = new TextDecoder();
  for (let seen = ""; !seen.includes(text); ) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`ended after ${JSON.stringify(seen)}`);
    seen += decoder.decode(value, { stream: true });
  }
}

describe("a terminal over a server", () => {
  it("carries bytes both ways, sizes and the exit code", async () => {
    const box = await newBox();
    const terminal = await box.attach({ cols: 100, rows: 30, term: "vt100" });
    await type(terminal, "size\n", new TextEncoder().encode("term\n"));
    const reader = terminal.readable.getReader();
    await until(reader, "vt100");
    terminal.resize(132, 43);
    await type(terminal, "size\nexit 3\n");
    await until(reader, "132x43");
    expect(await terminal.exited).toBe(3);
    while (!(await reader.read()).done);
  });

  it.each([
    ["defaults", {}, "80x24"],
    ["a size", { cols: 7, rows: 9 }, "7x9"],
  ])("has what it was asked for: %s", async (_name, options, size) => {
    const terminal = await (await newBox()).attach(options);
    await type(terminal, "size\nexit\n");
    expect(await textOf(terminal)).toContain(`${size}\r\n`);
    expect(await terminal.exited).toBe(0);
  });

  it("is the same over the backend itself", async () => {
    const box = await new BoxRunClient({ backend }).create("fake");
    const terminal = await box.attach({ cols: 100 });
    await type(terminal, "size\nexit 4\n");
    expect(await textOf(terminal)).toContain("100x24");
    expect(await terminal.exited).toBe(4);
  });

  it.each([{ cols: 0 }, { rows: 1001 }, { cols: 1.5 }, { shell: "" }, { term: "a b" }, { columns: 5 }])(
    "refuses %j and names the option",
    async (options) => {
      const error = await failure((await newBox()).attach(options as object));
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain(Object.keys(options)[0]);
    },
  );

  it("says that the box is stopped, or is not there", async () => {
    const box = await newBox();
    await box.stop();
    expect(await failure(box.attach())).toMatchObject({ code: "BOX_NOT_RUNNING" });
    await box.remove();
    expect(await failure(box.attach())).toMatchObject({ code: "BOX_NOT_FOUND" });
  });

  it("ends its shell when it is closed, and settles", async () => {
    const box = await newBox();
    const terminal = await box.attach();
    await type(terminal, "sleep 1000\n");
    const reader = terminal.readable.getReader();
    await until(reader, "1000");
    await terminal.close();
    await terminal.close();
    expect(await terminal.exited).toBeNull();
    while (!(await reader.read()).done);
    expect(await failure(type(terminal, "x"))).toMatchObject({ code: "EXEC_ALREADY_FINISHED" });
    await expect.poll(() => backend.openTerminals).toBe(0);
  });

  it("ends when its box is stopped, when its signal aborts, when its client closes", async () => {
    const baseUrl = await startServer();
    const client = clientOf({ baseUrl });
    const box = await client.create("fake");
    const stopped = await box.attach();
    await box.stop();
    expect(await stopped.exited).toBeNull();
    await box.start();
    const controller = new AbortController();
    const reason = new Error("enough");
    const aborted = await box.attach({ signal: controller.signal });
    controller.abort(reason);
    expect(await failure(aborted.exited)).toBe(reason);
    expect(await failure(aborted.readable.getReader().read())).toBe(reason);
    const closed = await box.attach();
    await client.close();
    expect(await failure(closed.exited)).toMatchObject({ code: "VALIDATION_ERROR" });
    await expect.poll(() => backend.openTerminals).toBe(0);
  });

  it("rejects with STREAM_INTERRUPTED when the server goes", async () => {
    const server = await serve(backend, { port: 0 });
    const box = await clientOf({ baseUrl: server.addresses[0]! }).create("fake");
    const terminal = await box.attach();
    await server.close();
    expect(await failure(terminal.exited)).toMatchObject({ code: "STREAM_INTERRUPTED", retryable: true });
    await expect.poll(() => backend.openTerminals).toBe(0);
  });

  it("notices a connection that is open at this end only", async () => {
    const baseUrl = await startServer({ keepAliveMs: 50 });
    const { address, freeze } = await startFreezer(new URL(baseUrl).port);
    const client = clientOf({ baseUrl: address, timeouts: { silenceMs: 400 } });
    const terminal = await (await client.create("fake")).attach();
    await until(terminal.readable.getReader(), "$ ");
    freeze();
    expect(await failure(terminal.exited)).toMatchObject({ code: "STREAM_INTERRUPTED" });
  });

  it("stays open in silence while the server is there", async () => {
    const box = await newBox({ keepAliveMs: 20 }, { timeouts: { silenceMs: 200 } });
    const terminal = await box.attach();
    await type(terminal, "sleep 0.6\nexit 5\n");
    expect(await terminal.exited).toBe(5);
  });

  it("is asked for over a plain server in silence, and stays open while that answers", async () => {
    const box = await newBox({ extensions: false }, { timeouts: { silenceMs: 100 } });
    const terminal = await box.attach();
    await type(terminal, "sleep 0.5\nexit 6\n");
    expect(await terminal.exited).toBe(6);
  });

  it("holds a flood back for a slow reader, and gives it all", async () => {
    const box = await newBox();
    const terminal = await box.attach();
    await type(terminal, "flood 400\n");
    await type(terminal, "exit 0\n");
    const reader = terminal.readable.getReader();
    let bytes = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read())
      bytes += next.value.byteLength;
    expect(bytes).toBeGreaterThan(400 * 65_536);
    expect(await terminal.exited).toBe(0);
  });

  it("ends with a client that leaves while it can take no more", async () => {
    const { id } = await new BoxRunClient({ backend }).create("fake");
    const prompted = deferred<void>();
    const listeners: Record<string, (event: { data: unknown }) => void> = {};
    const socket: ServerSocket = {
      send: () => prompted.resolve(),
      close: () => {},
      addEventListener: (type: string, listener: (typeof listeners)[string]) => {
        listeners[type] = listener;
      },
    };
    const spec = { cols: 80, rows: 24, shell: null, term: "vt100" };
    const serving = serveTerminal(backend, { boxId: async () => id, spec }, socket, {
      flow: true,
      keepAliveMs: 60_000,
    });
    listeners["message"]!({ data: '{"type":"pause"}' });
    await prompted.promise;
    listeners["close"]!({ data: undefined });
    await serving;
    expect(backend.openTerminals).toBe(0);
  }, 10_000);

  it("takes a large paste in order", async () => {
    const box = await newBox();
    const terminal = await box.attach();
    const words = Array.from({ length: 20_000 }, (_, i) => `w${i}`).join(" ");
    await type(terminal, `echo ${words}\nexit\n`);
    expect(await textOf(terminal)).toContain(`\n${words}\r\n`);
  });

  it("goes through a Unix socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "boxrun-terminal-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const socketPath = await (async () => {
      const server = await serve(backend, { socketPath: join(folder, "s") });
      onTestFinished(() => server.close());
      return server.addresses[0]!;
    })();
    const terminal = await (await clientOf({ socketPath }).create("fake")).attach();
    await type(terminal, "exit 7\n");
    expect(await terminal.exited).toBe(7);
  });

  it("sends the token, and is refused without it", async () => {
    const token = "s3cret+/=";
    const baseUrl = await startServer({ token });
    const box = await clientOf({ baseUrl, token }).create("fake");
    const terminal = await box.attach();
    await type(terminal, "exit 8\n");
    expect(await terminal.exited).toBe(8);
    for (const protocols of [[], ["boxrun", "boxrun.token.d3Jvbmc"]]) {
      const socket = new WebSocket(`${baseUrl.replace("http", "ws")}/v1/boxes/${box.id}/attach`, protocols);
      expect(await new Promise((resolve) => socket.on("error", resolve))).toMatchObject({
        message: expect.stringContaining("401"),
      });
    }
  });

  it("sends the token as a sub-protocol where there are no headers", async () => {
    const token = "s3cret+/=";
    const seen: unknown[] = [];
    class AsInAPage extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        seen.push(protocols);
      }
    }
    const baseUrl = await startServer({ token });
    const client = clientOf({ baseUrl, token, WebSocket: AsInAPage as never });
    const terminal = await (await client.create("fake")).attach();
    await type(terminal, "exit 9\n");
    expect(await terminal.exited).toBe(9);
    expect(seen).toEqual([["boxrun", expect.stringMatching(/^boxrun\.token\.[A-Za-z0-9_-]+$/)]]);
  });

  it("is refused to pages of others, under other names, at other places", async () => {
    const baseUrl = await startServer();
    const { id } = await clientOf({ baseUrl }).create("fake");
    const status = (path: string, headers: Record<string, string>) =>
      new Promise<number | undefined>((resolve) => {
        const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
        const key = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
        const sent = httpRequest(`${baseUrl}${path}`, { headers: { ...upgrade, ...key, ...headers } });
        sent.on("response", (response) => resolve(response.statusCode));
        sent.on("upgrade", (_response, socket) => {
          socket.destroy();
          resolve(101);
        });
        sent.end();
      });
    const attach = `/v1/boxes/${id}/attach`;
    expect(await status(attach, {})).toBe(101);
    expect(await status(attach, { origin: "https://evil.example" })).toBe(403);
    expect(await status(attach, { host: "evil.example" })).toBe(403);
    expect(await status("/v1/other", {})).toBe(404);
    expect(await status(`${attach}?cols=x`, {})).toBe(422);
  });

  it("is no terminal for who asks by HTTP", async () => {
    const baseUrl = await startServer();
    const { id } = await clientOf({ baseUrl }).create("fake");
    const response = await fetch(`${baseUrl}/v1/boxes/${id}/attach`);
    expect([response.status, response.headers.get("upgrade")]).toEqual([426, "websocket"]);
  });
});

describe("a server of another make", () => {
  /** A server whose WebSockets do as a test wants. */
  async function startStranger(onSocket: (socket: WebSocket) => void): Promise<BoxHandle> {
    const proxied = await startServer({ extensions: false });
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    sockets.on("connection", onSocket);
    onTestFinished(() => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
    });
    await new Promise((resolve) => sockets.on("listening", resolve));
    const { port } = sockets.address() as { port: number };
    class Redirected extends WebSocket {
      constructor() {
        super(`ws://127.0.0.1:${port}`);
      }
    }
    return clientOf({ baseUrl: proxied, WebSocket: Redirected as never }).create("fake");
  }

  it("may say in a frame what is wrong", async () => {
    const box = await startStranger((socket) => {
      socket.send(JSON.stringify({ type: "error", code: "BOX_NOT_RUNNING", message: "it has stopped" }));
      socket.close();
    });
    const error = await failure((await box.attach()).exited);
    expect(error).toMatchObject({ code: "BOX_NOT_RUNNING" });
    expect(error.message).toContain("it has stopped");
  });

  it("may send frames of types that are new, and none that make no sense", async () => {
    const fine = await startStranger((socket) => {
      socket.send(JSON.stringify({ type: "news", text: "x" }));
      socket.send(JSON.stringify({ type: "exit", code: 2 }));
    });
    expect(await (await fine.attach()).exited).toBe(2);
    const broken = await startStranger((socket) => socket.send("hello"));
    expect(await failure((await broken.attach()).exited)).toMatchObject({ code: "PROTOCOL_ERROR" });
  });

  it("may close without a word, which is no exit", async () => {
    const box = await startStranger((socket) => socket.close(1000));
    expect(await failure((await box.attach()).exited)).toMatchObject({ code: "STREAM_INTERRUPTED" });
  });
});

/** A proxy that can stop passing anything on, in either direction, while its connections stay open. */
async function startFreezer(port: string): Promise<{ address: string; freeze: () => void }> {
  const sockets: Socket[] = [];
  const server = createTcpServer((incoming) => {
    const outgoing = connectTcp(Number(port), "127.0.0.1");
    incoming.pipe(outgoing).pipe(incoming);
    for (const socket of [incoming, outgoing]) {
      sockets.push(socket);
      socket.on("error", () => {});
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const freeze = () => {
    for (const socket of sockets) {
      socket.unpipe();
      socket.pause();
    }
  };
  return { address: `http://127.0.0.1:${(server.address() as { port: number }).port}`, freeze };
}
