import { createServer } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Connection } from "../../src/backend/backend.js";
import { portClosed } from "../../src/backend/ports.js";
import { BoxRunClient } from "../../src/index.js";
import { serve } from "../../src/server/node/serve.js";
import { failure, pattern } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { httpServer, type LocalServer, listen } from "../ports/local-server.js";

/** A box on a server, whose ports are those of local servers. */
async function boxWith(...servers: LocalServer[]) {
  const backend = new FakeBackend();
  const find = (port: number) => servers.find((one) => one.port === port);
  Object.assign(backend, {
    capabilities: { ...backend.capabilities, ports: true },
    ports: {
      list: async () => servers.map(({ port }) => ({ port, addresses: ["127.0.0.1"] })),
      connect: async (_box: string, port: number) => {
        const server = find(port);
        if (!server) throw portClosed(port);
        return server.connect();
      },
    },
  });
  const running = await serve(backend, { port: 0, token: "secret" });
  onTestFinished(() => running.close());
  const client = new BoxRunClient({ backend: "remote", baseUrl: running.addresses[0]!, token: "secret" });
  onTestFinished(() => client.close());
  return { client, box: await client.create("fake"), running };
}

const echo = () => listen(createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)));

async function ask(connection: Connection, bytes: Uint8Array): Promise<Uint8Array> {
  const writer = connection.writable.getWriter();
  const sent = writer.write(bytes).then(() => writer.close());
  const answer = new Uint8Array(await new Response(connection.readable).arrayBuffer());
  await sent;
  await connection.closed;
  return answer;
}

describe("ports of a box on a server", () => {
  it("are listed, and carry bytes both ways to their ends", async () => {
    const server = await echo();
    const { box } = await boxWith(server);
    expect(await box.ports.list()).toEqual([{ port: server.port, addresses: ["127.0.0.1"] }]);
    const bytes = pattern(5_000_000);
    expect(Buffer.compare(await ask(await box.connect(server.port), bytes), bytes)).toBe(0);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("take requests", async () => {
    const server = await httpServer((request, response) =>
      response.end(`${request.method} ${request.headers.host}`),
    );
    const { box } = await boxWith(server);
    const response = await box.fetch(server.port, "/");
    expect(await response.text()).toBe(`GET localhost:${server.port}`);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("are refused as they are there", async () => {
    const { box } = await boxWith();
    expect(await failure(box.connect(4000))).toMatchObject({ code: "PORT_CLOSED", retryable: true });
    expect(await failure(box.connect(0))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("hold up a sender whose bytes nobody reads", async () => {
    let sent = 0;
    const server = await listen(
      createServer((socket) => {
        const more = () => {
          while (!socket.destroyed && socket.write(Buffer.alloc(65_536))) sent += 65_536;
          sent += 65_536;
        };
        socket.on("drain", more);
        more();
      }),
    );
    const { box } = await boxWith(server);
    const { readable } = await box.connect(server.port);
    const reader = readable.getReader();
    await reader.read();
    const stopped = vi.waitUntil(
      async () => {
        const before = sent;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return sent === before;
      },
      { timeout: 20_000 },
    );
    await stopped;
    expect(sent).toBeLessThan(40_000_000);
    for (let read = 0; read < 20_000_000; ) read += (await reader.read()).value!.byteLength;
    await reader.cancel();
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("let go of a server that does not read when the writer gives up", async () => {
    const server = await listen(createServer((socket) => void socket.pause()));
    const { box } = await boxWith(server);
    const connection = await box.connect(server.port);
    const writer = connection.writable.getWriter();
    const writing = failure(writer.write(new Uint8Array(64_000_000)));
    const reason = new Error("given up");
    await writer.abort(reason);
    expect(await failure(connection.closed)).toBe(reason);
    await writing;
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("are cut for both when one of them is cut", async () => {
    const cutting = await listen(
      createServer((socket) => socket.once("data", () => socket.resetAndDestroy())),
    );
    const server = await echo();
    const { box, client } = await boxWith(cutting, server);
    const connection = await box.connect(cutting.port);
    await connection.writable.getWriter().write(new Uint8Array(1));
    expect(await failure(connection.readable.getReader().read())).toMatchObject({
      code: "STREAM_INTERRUPTED",
    });
    const { close, closed } = await box.connect(server.port);
    await close();
    expect(await closed).toBeUndefined();
    await vi.waitFor(() => expect(server.open()).toBe(0));
    const last = await box.connect(server.port);
    await client.close();
    await failure(last.closed);
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("end with the server", async () => {
    const server = await echo();
    const { box, running } = await boxWith(server);
    const connection = await box.connect(server.port);
    await running.close();
    expect(await failure(connection.closed)).toMatchObject({ code: "STREAM_INTERRUPTED" });
    await vi.waitFor(() => expect(server.open()).toBe(0));
  });

  it("are given up when the signal aborts, and not affected by it later", async () => {
    const server = await echo();
    const { box } = await boxWith(server);
    const stop = new AbortController();
    const connection = await box.connect(server.port, { signal: stop.signal });
    stop.abort();
    expect(new TextDecoder().decode(await ask(connection, new TextEncoder().encode("on")))).toBe("on");
    expect(await failure(box.connect(server.port, { signal: stop.signal }))).toBe(stop.signal.reason);
  });
});

it("a server without ports says what to use", async () => {
  const running = await serve(new FakeBackend(), { port: 0 });
  onTestFinished(() => running.close());
  const client = new BoxRunClient({ backend: "remote", baseUrl: running.addresses[0]! });
  const box = await client.create("fake");
  for (const call of [() => box.connect(80), () => box.ports.list(), () => box.fetch(80)])
    expect(await failure(call())).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/wget/),
    });
  await client.close();
});
