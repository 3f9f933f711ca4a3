import { createHash } from "node:crypto";
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { connectionOf } from "../../../src/local/network/socket-connection-node.js";
import {
  type ByteConnection,
  DialError,
  type Dialer,
  type DialOptions,
  type DialTarget,
} from "../../../src/network/dialer.js";

const ADDRESS = "203.0.113.1";

/** A world for boxes: names that lead to real servers on this machine's loopback, and nothing else. */
export class World implements Dialer, AsyncDisposable {
  /** All targets that were dialed. */
  readonly dialed: DialTarget[] = [];
  /** Addresses that a name has each time it is dialed, one after the other; the last one stays. */
  readonly addresses = new Map<string, string[]>();
  private readonly ports = new Map<string, number>();
  private readonly servers = new Set<{ close(): void }>();
  private readonly sockets = new Set<Socket>();

  /** Has a server, or one that does as `serve` says, for "NAME:PORT". */
  async add(place: string, server: Server | ((socket: Socket) => void)): Promise<void> {
    const listening = typeof server === "function" ? createServer({ allowHalfOpen: true }, server) : server;
    listening.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.sockets.delete(socket));
    });
    this.servers.add(listening);
    if (!listening.listening) await once(listening.listen(0, "127.0.0.1"), "listening");
    this.ports.set(place, (listening.address() as AddressInfo).port);
  }

  /** Has a name on which nothing answers, neither yes nor no. */
  addSilent(place: string): void {
    this.ports.set(place, -1);
  }

  async resolves(name: string): Promise<boolean> {
    return [...this.ports.keys()].some((place) => place.startsWith(`${name}:`));
  }

  async connect(target: DialTarget, { signal, mayReach }: DialOptions): Promise<ByteConnection> {
    this.dialed.push(target);
    const port = this.ports.get(`${target.host}:${target.port}`);
    if (port === -1)
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    if (port === undefined) {
      const known = await this.resolves(target.host);
      throw new DialError(known ? "ECONNREFUSED" : "ENETUNREACH", "there is nobody");
    }
    const [address = ADDRESS, ...later] = this.addresses.get(target.host) ?? [];
    if (later.length > 0) this.addresses.set(target.host, later);
    if (mayReach?.(address) === false) throw new DialError("EACCES", `${address} may not be reached`);
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    // As the dialer of Node does.
    socket.setNoDelay(true);
    return connectionOf(socket, address);
  }

  /** Number of the connections that servers have open. */
  get open(): number {
    return this.sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    for (const server of this.servers) server.close();
  }
}

/** Answers each request with its method, address, and the size and hash of its body. */
export const mirror: RequestListener = async (request, response) => {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    hash.update(part);
  }
  response.setHeader("x-agent", request.headers["user-agent"] ?? "");
  response.end(`${request.method} ${request.headers.host}${request.url} ${bytes} ${hash.digest("hex")}\n`);
};
