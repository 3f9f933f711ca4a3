import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { inspect } from "node:util";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type BoxHandle, BoxRunClient, BoxRunError, type ForwardOptions } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import type { FakeServer } from "../../src/testing/fake-ports.js";
import { deferred } from "../../src/util/deferred.js";

const ECHO = 7;
const SILENT = 14;

async function boxWith(servers: Record<number, FakeServer> = {}) {
  const backend = new FakeBackend({
    servers: {
      [ECHO]: ({ readable, writable }) => readable.pipeTo(writable),
      [SILENT]: () => {},
      ...servers,
    },
  });
  const client = new BoxRunClient({ backend });
  onTestFinished(() => client.close());
  return { backend, client, box: await client.create("fake") };
}

async function forward(box: BoxHandle, port: number, options: ForwardOptions = {}) {
  const forwarding = await box.forward(port, options);
  onTestFinished(() => forwarding.close());
  return forwarding;
}

async function dial(port: number, host = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port, host, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

const dialError = (port: number, host?: string) =>
  dial(port, host).then(
    () => "none",
    (error) => error.code,
  );

describe("a forwarded port of a box", () => {
  it("passes on the end of either side while the other goes on", async () => {
    const received = deferred<string>();
    const { box } = await boxWith({
      80: async ({ readable, writable }) => {
        await writable.close();
        received.resolve(await new Response(readable).text());
      },
    });
    const { hostPort } = await forward(box, 80);
    const socket = await dial(hostPort);
    await once(socket.resume(), "end");
    socket.end("late");
    expect(await received.promise).toBe("late");
  });

  it("passes on an answer that comes after the end of its question", async () => {
    const { box } = await boxWith({
      80: async ({ readable, writable }) => {
        const question = await new Response(readable).text();
        // What ends a socket by mistake has done so by then.
        await new Promise(setImmediate);
        const writer = writable.getWriter();
        await writer.write(new TextEncoder().encode(`you said ${question}`));
        await writer.close();
      },
    });
    const { hostPort } = await forward(box, 80);
    const socket = await dial(hostPort);
    socket.end("that");
    expect(await text(socket)).toBe("you said that");
  });

  it("holds up a client whose bytes the server does not read", async () => {
    const { box } = await boxWith();
    const { hostPort } = await forward(box, SILENT);
    const socket = await dial(hostPort);
    socket.on("error", () => {});
    let written = 0;
    // The client sends until its connection is cut.
    while (written < 64 * 2 ** 20) {
      const isTaken = new Promise<boolean>((resolve) => {
        socket.write(Buffer.alloc(2 ** 20), (error) => resolve(!error));
        setTimeout(() => resolve(false), 300);
      });
      if (!(await isTaken)) break;
      written += 2 ** 20;
    }
    expect(written).toBeLessThan(32 * 2 ** 20);
  });

  it("is refused when an option is wrong, or the box does not run", async () => {
    const { box } = await boxWith();
    for (const options of [{ hostPort: -1 }, { host: "" }, { hostport: 1 }, { host: "203.0.113.1" }])
      expect(await failure(box.forward(ECHO, options as ForwardOptions))).toMatchObject({
        code: "VALIDATION_ERROR",
      });
    await box.stop();
    expect(await failure(box.forward(ECHO))).toMatchObject({ code: "BOX_NOT_RUNNING" });
  });
});

describe("what console.log shows, and await using closes,", () => {
  it("is a forwarding by its address", async () => {
    const { box } = await boxWith();
    const forwarding = await forward(box, ECHO);
    const { url, hostPort } = forwarding;
    expect(inspect(forwarding)).toBe(`{ Forwarding: { url: '${url}', hostPort: ${hostPort} } }`);
    await forwarding[Symbol.asyncDispose]();
    expect(await dialError(hostPort)).toBe("ECONNREFUSED");
  });

  it("is a connection by its port", async () => {
    const { backend, box } = await boxWith();
    const connection = await box.connect(SILENT);
    expect(inspect(connection)).toBe("{ BoxConnection: { port: 14 } }");
    await connection[Symbol.asyncDispose]();
    expect(await connection.closed).toBeUndefined();
    expect(backend.openConnections).toBe(0);
  });
});

it("a port of a box that another process runs is not forwarded, nor previewed", async () => {
  const { backend, box } = await boxWith();
  const locked = new BoxRunError("BOX_LOCKED", "another process runs it");
  vi.spyOn(backend.ports!, "list").mockRejectedValue(locked);
  expect(await failure(box.forward(ECHO))).toBe(locked);
  expect(await failure(box.preview(ECHO))).toBe(locked);
});

describe("a forwarded port of a box ends, with its connections,", () => {
  const ends: [string, (all: Awaited<ReturnType<typeof boxWith>> & { stop: AbortController }) => unknown][] =
    [
      ["by its signal", ({ stop }) => stop.abort()],
      ["when the box stops", ({ box }) => box.stop()],
      ["when the box is removed", ({ box }) => box.remove({ force: true })],
      ["when the client is closed", ({ client }) => client.close()],
    ];
  it.each(ends)("%s, though nobody is connected", async (_when, end) => {
    const all = await boxWith();
    const stop = new AbortController();
    const { hostPort, closed } = await forward(all.box, SILENT, { signal: stop.signal });
    await end({ ...all, stop });
    await closed;
    expect(await dialError(hostPort)).toBe("ECONNREFUSED");
  });

  it.each(ends)("%s", async (_when, end) => {
    const all = await boxWith();
    const stop = new AbortController();
    const { hostPort, closed } = await forward(all.box, SILENT, { signal: stop.signal });
    const socket = await dial(hostPort);
    const cut = once(socket.resume(), "error");
    await expect.poll(() => all.backend.openConnections).toBe(1);
    await end({ ...all, stop });
    expect((await cut)[0]).toMatchObject({ code: "ECONNRESET" });
    await closed;
    expect(await dialError(hostPort)).toBe("ECONNREFUSED");
    await expect.poll(() => all.backend.openConnections).toBe(0);
  });
});
