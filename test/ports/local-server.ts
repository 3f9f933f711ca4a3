import { createServer, type RequestListener } from "node:http";
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from "node:net";
import { onTestFinished } from "vitest";
import type { Connection } from "../../src/backend/backend.js";
import { fetchPort } from "../../src/ports/fetch.js";

/** Connections as a backend makes them, to servers of this process. */
export type Connect = (options?: { signal?: AbortSignal }) => Promise<Connection>;

/** A server for the length of a test, and how to connect to it. `open` counts the connections that are open. */
export interface LocalServer {
  port: number;
  connect: Connect;
  open(): number;
}

export function httpServer(listener: RequestListener): Promise<LocalServer> {
  return listen(createServer(listener));
}

/** A server that answers each connection with these bytes, whatever it is asked, and then ends it. */
export function rawServer(answer: string): Promise<LocalServer> {
  return listen(
    createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(Buffer.from(answer, "latin1")));
    }),
  );
}

export async function listen(server: Server): Promise<LocalServer> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, connect: () => connectTo(port), open: () => sockets.size };
}

async function connectTo(port: number): Promise<Connection> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => {});
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  const pieces = socket[Symbol.asyncIterator]();
  // Not Duplex.toWeb, whose readable side ends only when both sides have.
  const readable = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(new Uint8Array(value));
      },
      cancel: () => void socket.destroy(),
    },
    { highWaterMark: 0 },
  );
  const writable = new WritableStream<Uint8Array>({
    write: (bytes) =>
      new Promise((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve()))),
    close: () => void socket.end(),
    abort: () => void socket.destroy(),
  });
  const close = async () => {
    socket.destroy();
    await closed;
  };
  return { readable, writable, closed, close };
}

/** Asks a server as `box.fetch` does. */
export function ask({ port, connect }: LocalServer, path = "/", init: RequestInit = {}): Promise<Response> {
  return fetchPort(connect, port, path, init);
}
