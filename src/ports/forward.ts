import type { BoxInfo, Connection } from "../backend/backend.js";
import { BoxRunError, invalid, isBoxRunError, unsupported } from "../backend/errors.js";
import { requirePort } from "../backend/ports.js";
import { requireOptions, shown } from "../backend/validate.js";
import { whenAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { asyncDispose } from "../util/dispose.js";
import { inspect } from "../util/inspect.js";
import { type ResettableSocket, resetSocket } from "../util/reset-socket.js";
import { startTimer } from "../util/timer.js";
import type { Forwarding, ForwardOptions } from "./port-types.js";

/** Members of Node's module net that are used here. Deno and Bun have them, too. */
interface NodeNet {
  createServer(options: { allowHalfOpen: boolean }, onConnection: (socket: Socket) => void): Server;
}

interface Server {
  listen(options: { port: number; host: string }): unknown;
  address(): { port: number } | null;
  close(onClosed: () => void): unknown;
  once(event: "listening" | "error", listener: (error: Error) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  unref(): unknown;
}

interface Socket extends ResettableSocket {
  write(bytes: Uint8Array): boolean;
  end(): unknown;
  pause(): unknown;
  resume(): unknown;
  once(event: "drain" | "end" | "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
  on(event: "data", listener: (bytes: Uint8Array) => void): unknown;
  on(event: "error", listener: () => void): unknown;
  readonly destroyed: boolean;
}

/** Interval of the looks whether the box still runs: nothing tells a listener that it has ended. */
const LOOK_AGAIN_MS = 500;

/** The part of a box that a forwarding uses. */
interface ForwardedBox {
  connect(port: number): Promise<Connection>;
  refresh(): Promise<BoxInfo>;
  ports: { list(): Promise<unknown> };
}

/** Makes a port of a box a port of this machine. Implements `BoxHandle.forward`, which documents it. */
export async function forwardFrom(
  box: ForwardedBox,
  port: number,
  options?: ForwardOptions,
): Promise<Forwarding> {
  const forwarding = await forwardPort(() => box.connect(port), port, options);
  const look = () => box.refresh();
  try {
    await requireRunning(look);
    // A box that another process runs has the same state, but no ports for this one.
    await box.ports.list();
  } catch (error) {
    await forwarding.close();
    throw error;
  }
  endWithBox(forwarding, look);
  return forwarding;
}

/** Closes a forwarding once its box has ended. A server that does not answer for a while may still have the box. */
function endWithBox(forwarding: Forwarding, look: () => Promise<BoxInfo>): void {
  let isOpen = true;
  let stop = () => {};
  const lookAgain = () => {
    if (!isOpen) return;
    stop = startTimer(LOOK_AGAIN_MS, () => {
      requireRunning(look).then(lookAgain, (error) => (isEnd(error) ? forwarding.close() : lookAgain()));
    });
  };
  lookAgain();
  void forwarding.closed.then(() => {
    isOpen = false;
    stop();
  });
}

async function requireRunning(look: () => Promise<BoxInfo>): Promise<void> {
  const { id, status } = await look();
  if (status !== "running") throw new BoxRunError("BOX_NOT_RUNNING", `box ${id} is ${status}`);
}

/** Returns true for the errors of a box that is gone, and of a client that was closed. */
function isEnd(error: unknown): boolean {
  return (
    isBoxRunError(error) &&
    ["BOX_LOCKED", "BOX_NOT_FOUND", "BOX_NOT_RUNNING", "VALIDATION_ERROR"].includes(error.code)
  );
}

/** Listens on a port of this machine. */
export async function forwardPort(
  connect: () => Promise<Connection>,
  port: number,
  options: ForwardOptions = {},
): Promise<Forwarding> {
  requirePort(port);
  requireOptions(options, { hostPort: true, host: true, signal: true });
  const { hostPort = 0, host = "127.0.0.1", signal } = options;
  requirePort(hostPort, "hostPort", 0);
  if (typeof host !== "string" || host === "") throw invalid(`host must be an address, got ${shown(host)}`);
  signal?.throwIfAborted();
  const forwarding = new PortForwarding(nodeNet(), connect);
  await forwarding.listen(hostPort, host);
  forwarding.endWith(signal);
  return forwarding;
}

/** Returns whether this runtime can listen on ports. */
export function canListen(): boolean {
  return findNet() !== undefined;
}

function findNet(): NodeNet | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return process?.getBuiltinModule?.("net") as NodeNet | undefined;
}

function nodeNet(): NodeNet {
  const net = findNet();
  if (net) return net;
  throw unsupported("forward needs a runtime that can listen on ports", "use box.fetch or box.connect here");
}

class PortForwarding implements Forwarding {
  hostPort = 0;
  private host = "";
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private ignoreSignal: () => void = () => {};
  private readonly ended = deferred<void>();
  private isOpen = true;

  /** A property, so that it may be taken from the object. */
  readonly close = (): Promise<void> => {
    if (!this.isOpen) return this.closed;
    this.isOpen = false;
    this.ignoreSignal();
    this.server.close(() => this.ended.resolve());
    for (const socket of this.sockets) resetSocket(socket);
    return this.closed;
  };

  constructor(
    net: NodeNet,
    private readonly connect: () => Promise<Connection>,
  ) {
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => void this.serve(socket));
  }

  get url(): string {
    const host = this.host.includes(":") ? `[${this.host}]` : this.host;
    return `http://${host}:${this.hostPort}`;
  }

  async listen(port: number, host: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.once("listening", () => resolve());
      this.server.listen({ port, host });
    }).catch((cause) => {
      throw cannotListen(port, host, cause);
    });
    // Later ones, such as too many open files, concern a connection alone.
    this.server.on("error", () => {});
    this.hostPort = this.server.address()?.port ?? port;
    this.host = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  }

  endWith(signal: AbortSignal | undefined): void {
    if (signal?.aborted) void this.close();
    this.ignoreSignal = whenAborted(signal, () => void this.close());
  }

  get closed(): Promise<void> {
    return this.ended.promise;
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Returns what `console.log` shows in Node, Deno and Bun. */
  [inspect](): object {
    return { Forwarding: { url: this.url, hostPort: this.hostPort } };
  }

  private async serve(socket: Socket): Promise<void> {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.sockets.delete(socket));
    let connection: Connection | undefined;
    try {
      connection = await this.connect();
      const opened = connection;
      socket.once("close", () => void opened.close());
      await Promise.all([send(socket, opened), receive(opened, socket)]);
    } catch (error) {
      resetSocket(socket);
      await connection?.close();
      if (isEnd(error)) await this.close();
    }
  }
}

/** Passes on what the client sends, and its end. The iterator of a socket would destroy it at that end, with what is still to be answered. */
async function send(socket: Socket, { writable }: Connection): Promise<void> {
  const writer = writable.getWriter();
  await new Promise<void>((resolve, reject) => {
    socket.on("data", (bytes) => {
      socket.pause();
      writer.write(bytes).then(() => socket.resume(), reject);
    });
    socket.once("end", resolve);
    socket.once("close", () => reject(clientGone()));
  });
  await writer.close();
}

const clientGone = () => new BoxRunError("CANCELED", "the client closed the connection");

/** Passes on what the server answers, and its end. */
async function receive({ readable }: Connection, socket: Socket): Promise<void> {
  const reader = readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (socket.destroyed) throw clientGone();
    if (done) return void socket.end();
    if (!socket.write(value)) await untilDrained(socket);
  }
}

function untilDrained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      socket.off("drain", settle);
      socket.off("close", settle);
      resolve();
    };
    socket.once("drain", settle);
    socket.once("close", settle);
  });
}

function cannotListen(port: number, host: string, cause: unknown): BoxRunError {
  const { code, message } = cause as { code?: string; message: string };
  const place = `${host}:${port}`;
  if (code === "EADDRINUSE")
    return invalid(`cannot listen on ${place}: the port is in use`, "hostPort 0 is a free one");
  return new BoxRunError("VALIDATION_ERROR", `cannot listen on ${place}: ${message}`, { cause });
}
