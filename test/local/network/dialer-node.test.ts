import { once } from "node:events";
import { createServer, type Server, Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { nodeDialer } from "../../../src/local/network/dialer-node.js";
import { connectionOf } from "../../../src/local/network/socket-connection-node.js";
import type { ByteConnection } from "../../../src/network/dialer.js";
import { PolicyDialer } from "../../../src/network/policy-dialer.js";
import { deferred } from "../../../src/util/deferred.js";
import { textOf } from "./connections.js";

const signal = new AbortController().signal;
const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** Starts a server on the loopback. Returns its port, and its first connection. */
async function listen(onSocket: (socket: Socket) => void = () => {}) {
  const accepted = deferred<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    onSocket(socket);
    accepted.resolve(socket);
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as { port: number }).port, accepted: accepted.promise };
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => Promise.reject(new Error("it did not fail")),
    (error) => error,
  );

const open = (port: number, host = "127.0.0.1") => nodeDialer().connect({ host, port }, { signal });

async function write(connection: ByteConnection, text: string) {
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  return writer;
}

describe("connections of Node", () => {
  it("carry bytes both ways, and this side may end first", async () => {
    const { port } = await listen((socket) => socket.pipe(socket));
    const connection = await open(port);
    expect(connection.address).toBe("127.0.0.1");
    const answer = textOf(connection);
    const writer = await write(connection, "hello");
    await writer.close();
    expect(await answer).toBe("hello");
  });

  it("end when the far side does, which still takes what is sent", async () => {
    const { port, accepted } = await listen((socket) => socket.end("bye"));
    const connection = await open(port);
    expect(await textOf(connection)).toBe("bye");
    const socket = await accepted;
    const received = once(socket, "data");
    const ended = once(socket, "end");
    const writer = await write(connection, "late");
    expect(String((await received)[0])).toBe("late");
    await writer.close();
    await ended;
  });

  it("fail in both directions when the far side resets", async () => {
    const { port, accepted } = await listen();
    const connection = await open(port);
    const reader = connection.readable.getReader();
    const writer = connection.writable.getWriter();
    (await accepted).resetAndDestroy();
    expect(await failure(reader.read())).toMatchObject({ name: "DialError", code: "ECONNRESET" });
    expect(await failure(writer.closed)).toMatchObject({ code: "ECONNRESET" });
  });

  it.each<[string, (connection: ByteConnection) => Promise<void>]>([
    ["canceled", ({ readable }) => readable.cancel()],
    ["aborted", ({ writable }) => writable.abort()],
  ])("are reset when they are %s", async (_name, end) => {
    const { port, accepted } = await listen();
    const connection = await open(port);
    const failed = once(await accepted, "error");
    (await accepted).resume();
    await end(connection);
    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
  });

  it.each(["as it is", "behind rules"])(
    "end at once when they are aborted, %s, though the far side has ended and takes nothing of what is being written",
    async (how) => {
      const { port, accepted } = await listen((socket) => socket.pause().end());
      const policy = new PolicyDialer(nodeDialer(), { allow: [`host.internal:${port}`] });
      const connection =
        how === "as it is"
          ? await open(port)
          : await policy.connect({ host: "host.internal", port }, { signal });
      expect(await textOf(connection)).toBe("");
      const writer = connection.writable.getWriter();
      writer.write(new Uint8Array(64 * 2 ** 20)).catch(() => {});
      // A write that the kernel has no room for is under way.
      await accepted;
      await new Promise(setImmediate);
      await writer.abort(new Error("enough"));
      expect((await failure(writer.closed)).message).toBe("enough");
    },
  );

  it("read no more than a bounded part ahead", async () => {
    const written = deferred<number>();
    const { port } = await listen((socket) => {
      const piece = Buffer.alloc(64 * 1024);
      let bytes = 0;
      // Until the kernel takes no more, which it only does when this side stops reading.
      const fill = () => {
        while (bytes < 2 ** 30 && socket.writableLength < 2 ** 20) {
          socket.write(piece);
          bytes += piece.length;
        }
        setImmediate(() => (socket.writableLength < 2 ** 20 ? fill() : written.resolve(bytes)));
      };
      fill();
    });
    const connection = await open(port);
    expect(await written.promise).toBeLessThan(64 * 2 ** 20);
    await connection.readable.cancel();
  });

  it("read no more than a few hundred pieces ahead, however small they are", async () => {
    const socket = new Socket();
    const paused = vi.spyOn(socket, "pause");
    const { readable } = connectionOf(socket, "203.0.113.1");
    let pieces = 0;
    for (; paused.mock.calls.length === 0 && pieces < 10_000; pieces++) socket.emit("data", Uint8Array.of(7));
    expect(pieces).toBe(256);
    await readable.cancel();
  });

  it("take no more than the far side does", async () => {
    const { port, accepted } = await listen((socket) => socket.pause());
    const writer = (await open(port)).writable.getWriter();
    const piece = new Uint8Array(4 * 2 ** 20);
    let taken = 0;
    const all = (async () => {
      for (let i = 0; i < 16; i++) {
        await writer.write(piece);
        taken += piece.byteLength;
      }
      await writer.close();
    })();
    const socket = await accepted;
    await new Promise(setImmediate);
    expect(taken).toBeLessThan(16 * piece.byteLength);
    let received = 0;
    socket.on("data", (data) => (received += data.length));
    socket.resume();
    await all;
    await once(socket, "end");
    expect(received).toBe(16 * piece.byteLength);
  });

  it("are refused where nobody listens", async () => {
    const { port } = await listen();
    servers.pop()?.close();
    expect(await failure(open(port))).toMatchObject({ name: "DialError", code: "ECONNREFUSED" });
  });

  it("are given up with the caller's reason", async () => {
    const caller = new AbortController();
    const lookup = () => new Promise<string[]>(() => {});
    const opening = nodeDialer({ lookup }).connect(
      { host: "slow.example", port: 80 },
      { signal: caller.signal },
    );
    const reason = new Error("enough");
    caller.abort(reason);
    expect(await failure(opening)).toBe(reason);
    expect(
      await failure(nodeDialer().connect({ host: "127.0.0.1", port: 1 }, { signal: caller.signal })),
    ).toBe(reason);
  });

  it("time out", async () => {
    const dialer = nodeDialer({ lookup: () => new Promise(() => {}), connectMs: 1 });
    const opening = dialer.connect({ host: "slow.example", port: 80 }, { signal });
    // The timer does not keep a process alive by itself.
    const held = setInterval(() => {}, 1000);
    expect(await failure(opening)).toMatchObject({ code: "ETIMEDOUT" });
    clearInterval(held);
  });

  it("try the next address when one fails, and report the failure that says most", async () => {
    const { port } = await listen((socket) => socket.end("second"));
    const dialer = nodeDialer({ lookup: async () => ["127.0.0.2", "127.0.0.1"] });
    const connection = await dialer.connect({ host: "two.example", port }, { signal });
    expect(connection.address).toBe("127.0.0.1");
    expect(await textOf(connection)).toBe("second");
    await (await write(connection, "")).close();
    servers.pop()?.close();
    const lookup = async () => ["255.255.255.255", "127.0.0.1"];
    expect(
      await failure(nodeDialer({ lookup }).connect({ host: "two.example", port }, { signal })),
    ).toMatchObject({
      code: "ECONNREFUSED",
    });
  });

  it("go to the address that was checked, whatever the name means later", async () => {
    const { port, accepted } = await listen();
    const answers = [["93.184.216.34"], ["127.0.0.1"]];
    const asked: string[] = [];
    const dialer = nodeDialer({
      lookup: async (name) => {
        asked.push(name);
        return answers.shift() ?? ["127.0.0.1"];
      },
    });
    const policy = new PolicyDialer(dialer, true);
    expect(await policy.resolves("rebind.example", { signal })).toBe(true);
    const error = await failure(policy.connect({ host: "rebind.example", port }, { signal }));
    expect(error).toMatchObject({ code: "EACCES" });
    expect(error.message).toContain("address is not public");
    expect(asked).toHaveLength(2);
    // The server was never reached: the next connection is its first.
    const checked: string[] = [];
    const mayReach = (address: string) => checked.push(address) > 0;
    await (await dialer.connect({ host: "rebind.example", port }, { signal, mayReach })).readable.cancel();
    expect(checked).toEqual(["127.0.0.1"]);
    await accepted;
  });

  it("lead to the host's loopback by its name alone", async () => {
    const { port } = await listen((socket) => socket.end("host"));
    const policy = new PolicyDialer(nodeDialer(), { allow: [`host.internal:${port}`] });
    const connection = await policy.connect({ host: "host.internal", port }, { signal });
    expect(await textOf(connection)).toBe("host");
    await connection.writable.close();
    for (const host of ["127.0.0.1", "localhost"])
      expect(await failure(policy.connect({ host, port }, { signal }))).toMatchObject({ code: "EACCES" });
  });

  it("tell names that exist from those that do not, and from failures", async () => {
    const coded = (code: string) =>
      nodeDialer({ lookup: () => Promise.reject(Object.assign(new Error(code), { code })) });
    expect(await nodeDialer().resolves?.("localhost", { signal })).toBe(true);
    expect(await coded("ENOTFOUND").resolves?.("a.example", { signal })).toBe(false);
    expect(await failure(coded("EAI_AGAIN").resolves!("a.example", { signal }))).toMatchObject({
      code: "EAI_AGAIN",
    });
    expect(
      await failure(coded("ENOTFOUND").connect({ host: "a.example", port: 80 }, { signal })),
    ).toMatchObject({
      code: "EHOSTUNREACH",
    });
  });

  it("look at most two names up at once, those that nobody waits for any more included", async () => {
    const asked: string[] = [];
    const answers = [deferred<string[]>(), deferred<string[]>()];
    const dialer = nodeDialer({
      lookup: (name) => answers[asked.push(name) - 1]?.promise ?? Promise.resolve(["127.0.0.1"]),
    });
    const caller = new AbortController();
    const options = { signal: caller.signal };
    const givenUp = ["a.example", "b.example", "c.example"].map((name) => dialer.resolves!(name, options));
    const connecting = dialer.connect({ host: "d.example", port: 1 }, options);
    const waiting = dialer.resolves!("e.example", { signal });
    const reason = new Error("enough");
    caller.abort(reason);
    for (const call of [...givenUp, connecting]) expect(await failure(call)).toBe(reason);
    expect(asked).toEqual(["a.example", "b.example"]);
    answers[0]!.reject(new Error("late"));
    expect(await waiting).toBe(true);
    expect(asked).toEqual(["a.example", "b.example", "e.example"]);
  });

  it("share a lookup of one name", async () => {
    const asked: string[] = [];
    const answer = deferred<string[]>();
    const dialer = nodeDialer({
      lookup: (name) => {
        asked.push(name);
        return answer.promise;
      },
    });
    const caller = new AbortController();
    const givenUp = dialer.resolves!("a.example", { signal: caller.signal });
    const calls = [1, 2, 3].map(() => dialer.resolves!("a.example", { signal }));
    caller.abort(new Error("enough"));
    await failure(givenUp);
    answer.resolve(["127.0.0.1"]);
    expect(await Promise.all(calls)).toEqual([true, true, true]);
    expect(asked).toEqual(["a.example"]);
    // An answer is not kept.
    await dialer.resolves!("a.example", { signal });
    expect(asked).toHaveLength(2);
  });

  it("fail like a failed lookup when too many names wait", async () => {
    const dialer = nodeDialer({ lookup: () => new Promise(() => {}) });
    const ask = (i: number) => {
      const caller = new AbortController();
      const failed = failure(dialer.resolves!(`n${i}.example`, { signal: caller.signal }));
      return { failed, giveUp: () => caller.abort(new Error("enough")) };
    };
    const calls = Array.from({ length: 66 }, (_, i) => ask(i));
    expect((await ask(66).failed).message).toMatch(/64 names wait/);
    const refused = await failure(dialer.connect({ host: "one.more.example", port: 80 }, { signal }));
    expect(refused).toMatchObject({ name: "DialError", code: "EHOSTUNREACH" });
    for (const { giveUp } of calls) giveUp();
    await Promise.all(calls.map(({ failed }) => failed));
    // There is room again.
    const again = ask(67);
    again.giveUp();
    expect((await again.failed).message).toBe("enough");
  });
});
