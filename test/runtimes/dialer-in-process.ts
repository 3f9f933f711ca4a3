/** Connections of a dialer to servers on the loopback, in Node, Deno and Bun. Prints what came of each, as JSON. */
import { createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import { nodeDialer } from "../../src/local/network/dialer-node.js";
import type { ByteConnection } from "../../src/network/dialer.js";
import { deferred } from "../../src/util/deferred.js";
import { codeOf, send, textOf } from "../local/network/connections.js";

const { signal } = new AbortController();
const PIECE = new Uint8Array(2 ** 20);
const PIECES = 64;

/** Starts a server, and connects to it. */
async function connected(onSocket: (socket: Socket) => void): Promise<ByteConnection> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onSocket(socket);
  });
  const port = await portOf(server);
  return nodeDialer().connect({ host: "127.0.0.1", port }, { signal });
}

async function portOf(server: Server): Promise<number> {
  const listening = deferred();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  return (server.address() as { port: number }).port;
}

/** What a server sees that is reset: an error, where it would see an end otherwise. */
async function seenReset(end: (connection: ByteConnection) => Promise<void>): Promise<string> {
  const seen = deferred<string>();
  const connection = await connected((socket) => {
    socket.on("error", (error) => seen.resolve((error as { code?: string }).code ?? "error"));
    socket.on("end", () => seen.resolve("end"));
    socket.resume();
    // Both sides know that they are connected before one resets.
    socket.write("x");
  });
  const reader = connection.readable.getReader();
  await reader.read();
  reader.releaseLock();
  await end(connection);
  return seen.promise;
}

const CASES: Record<string, () => Promise<unknown>> = {
  "echo, this side ends first": async () => {
    const connection = await connected((socket) => socket.pipe(socket));
    const answer = textOf(connection);
    await send(connection, "hello");
    return answer;
  },
  "the far side ends first": async () => {
    const late = deferred<string>();
    let received = "";
    const connection = await connected((socket) => {
      socket.on("data", (data) => (received += data));
      socket.on("end", () => late.resolve(received));
      socket.end("bye");
    });
    const first = await textOf(connection);
    await send(connection, "late");
    return [first, await late.promise];
  },
  "reset by the far side": async () => {
    const connection = await connected((socket) => socket.on("data", () => socket.resetAndDestroy()));
    const read = codeOf(connection.readable.getReader().read());
    await connection.writable.getWriter().write(new Uint8Array(1));
    return read;
  },
  canceled: () => seenReset(({ readable }) => readable.cancel()),
  aborted: () => seenReset(({ writable }) => writable.abort()),
  refused: async () => {
    const server = createServer();
    const port = await portOf(server);
    const closed = deferred();
    server.close(() => closed.resolve());
    await closed.promise;
    return codeOf(nodeDialer().connect({ host: "127.0.0.1", port }, { signal }));
  },
  "a server that does not read": async () => {
    const accepted = deferred<Socket>();
    let received = 0;
    const connection = await connected((socket) => {
      socket.pause();
      accepted.resolve(socket);
    });
    const socket = await accepted.promise;
    const writer = connection.writable.getWriter();
    let taken = 0;
    const sent = (async () => {
      for (; taken < PIECES; taken++) await writer.write(PIECE);
      await writer.close();
    })();
    await new Promise((resolve) => setTimeout(resolve, 0));
    const whileStopped = taken < PIECES;
    const ended = deferred();
    socket.on("data", (data) => (received += data.length));
    socket.on("end", () => ended.resolve());
    socket.resume();
    await sent;
    await ended.promise;
    return [whileStopped, received];
  },
  "the second of two addresses": async () => {
    const server = createServer((socket) => socket.end("second"));
    const port = await portOf(server);
    const dialer = nodeDialer({ lookup: async () => ["127.0.0.2", "127.0.0.1"] });
    return textOf(await dialer.connect({ host: "two.example", port }, { signal }));
  },
  "a name that exists": async () => nodeDialer().resolves?.("localhost", { signal }),
};

const results: Record<string, unknown> = {};
for (const [name, work] of Object.entries(CASES)) results[name] = await work();
console.log(JSON.stringify(results));
process.exit(0);
