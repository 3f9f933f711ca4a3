/** TLS to servers on the loopback, over the streams of a connection, in Node, Deno and Bun. Prints what came of each, as JSON. */
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import { createServer as createTls, type TLSSocket } from "node:tls";
import { nodeDialer } from "../../src/local/network/dialer-node.js";
import { encrypt } from "../../src/local/network/tls-client-node.js";
import type { ByteConnection } from "../../src/network/dialer.js";
import { deferred } from "../../src/util/deferred.js";

const NAME = "api.example.com";
const BYTES = 8 * 2 ** 20;
const { signal } = new AbortController();
const read = (name: string) => readFileSync(name);

async function connectTo(server: Server): Promise<ByteConnection> {
  const listening = deferred();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  const { port } = server.address() as { port: number };
  return nodeDialer().connect({ host: "127.0.0.1", port }, { signal });
}

async function encrypted(
  onSocket: (socket: TLSSocket) => void,
  files = ["key.pem", "cert.pem"],
  name = NAME,
): Promise<ByteConnection> {
  const [key, cert] = files.map(read);
  const server = createTls({ key: key!, cert: cert! }, (socket) => {
    socket.on("error", () => {});
    onSocket(socket);
  });
  return encrypt(await connectTo(server), name);
}

async function received({ readable }: ByteConnection): Promise<number> {
  let count = 0;
  const reader = readable.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) count += next.value.byteLength;
  return count;
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "no error",
    ({ code }) => (typeof code === "string" ? code : "an error"),
  );

const CASES: Record<string, () => Promise<unknown>> = {
  "bytes both ways": async () => {
    const connection = await encrypted((socket) => {
      let left = BYTES;
      socket.on("data", (data: Uint8Array) => {
        left -= data.byteLength;
        if (left === 0) socket.end(new Uint8Array(BYTES));
      });
    });
    const writer = connection.writable.getWriter();
    const answer = received(connection);
    for (let sent = 0; sent < BYTES; sent += 2 ** 16) await writer.write(new Uint8Array(2 ** 16));
    return answer;
  },
  "the protocol and the name that the server sees": async () => {
    const seen = deferred<unknown>();
    const [key, cert] = ["key.pem", "cert.pem"].map(read);
    const server = createTls({ key: key!, cert: cert!, ALPNProtocols: ["h2", "http/1.1"] }, (socket) => {
      socket.on("error", () => {});
      seen.resolve([socket.alpnProtocol, (socket as { servername?: string }).servername]);
    });
    await encrypt(await connectTo(server), NAME);
    return seen.promise;
  },
  "a certificate for another name": () =>
    codeOf(encrypted(() => {}, ["key.pem", "cert.pem"], "bank.example.com")),
  "a certificate that nobody trusts": () =>
    codeOf(encrypted(() => {}, ["key.pem", "self.pem"])).then((code) => code !== "no error"),
  "a server that speaks no TLS": async () => {
    const plain = createServer((socket: Socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    return (await codeOf(encrypt(await connectTo(plain), NAME))) !== "no error";
  },
  "a server that hangs up": async () => {
    const plain = createServer((socket: Socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.resetAndDestroy());
    });
    return (await codeOf(encrypt(await connectTo(plain), NAME))) !== "no error";
  },
  "canceled: the server sees the end": async () => {
    const closed = deferred<boolean>();
    const connection = await encrypted((socket) => {
      socket.on("close", () => closed.resolve(true));
      socket.resume();
    });
    await connection.readable.cancel();
    return closed.promise;
  },
  "aborted while a write is under way": async () => {
    const closed = deferred<boolean>();
    const connection = await encrypted((socket) => {
      socket.on("close", () => closed.resolve(true));
      // A server that does not read sees no end in Deno.
      socket.resume();
    });
    const writer = connection.writable.getWriter();
    writer.write(new Uint8Array(BYTES)).catch(() => {});
    writer.abort(new Error("given up")).catch(() => {});
    return closed.promise;
  },
};

const results: Record<string, unknown> = {};
for (const [name, work] of Object.entries(CASES)) results[name] = await work();
console.log(JSON.stringify(results));
process.exit(0);
