import type { BackendPorts, Connection, PortInfo } from "../backend/backend.js";
import { BoxRunError } from "../backend/errors.js";
import { portClosed } from "../backend/ports.js";
import { deferred } from "../util/deferred.js";

/** A server's end of a connection. */
export interface FakeSocket {
  /** Bytes from the client. Fails when the connection is reset. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Bytes to the client. */
  readonly writable: WritableStream<Uint8Array>;
}

/**
 * A server in a fake box: called for each connection. The connection is cut when the server throws or rejects.
 *
 * @example
 * const echo: FakeServer = ({ readable, writable }) => readable.pipeTo(writable);
 */
export type FakeServer = (socket: FakeSocket) => void | Promise<void>;

/** Servers by the port that they listen on. */
export type FakeServers = Readonly<Record<number, FakeServer>>;

/** Connections to servers that are functions. */
export class FakePorts implements BackendPorts {
  private readonly open = new Map<string, Set<FakeConnection>>();

  /** Serves the boxes that `requireRunning` takes for running, and returns the ids of. */
  constructor(
    private readonly servers: FakeServers,
    private readonly requireRunning: (boxId: string) => string,
  ) {}

  async list(boxId: string): Promise<PortInfo[]> {
    this.requireRunning(boxId);
    return Object.keys(this.servers).map((port) => ({ port: Number(port), addresses: ["127.0.0.1"] }));
  }

  async connect(boxId: string, port: number, { signal }: { signal?: AbortSignal } = {}): Promise<Connection> {
    const id = this.requireRunning(boxId);
    signal?.throwIfAborted();
    const server = Object.hasOwn(this.servers, port) ? this.servers[port] : undefined;
    if (!server) throw portClosed(port);
    const connections = this.open.get(id) ?? new Set();
    this.open.set(id, connections);
    const connection = new FakeConnection(server);
    connections.add(connection);
    const forget = () => connections.delete(connection);
    connection.closed.then(forget, forget);
    return connection;
  }

  /** Number of connections that have not ended. */
  get count(): number {
    return [...this.open.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Cuts the connections of a box that ends. */
  endAll(boxId: string): void {
    const error = new BoxRunError("BOX_NOT_RUNNING", `box ${boxId} has ended`);
    for (const connection of this.open.get(boxId) ?? []) connection.cut(error);
    this.open.delete(boxId);
  }
}

class FakeConnection implements Connection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  private readonly ended = deferred<void>();
  private readonly toServer = new Direction(
    () => this.endSide(),
    (reason) => this.cut(reason),
  );
  private readonly toClient = new Direction(
    () => this.endSide(),
    (reason) => {
      this.ended.resolve();
      this.cut(reason);
    },
  );
  private openSides = 2;

  /** A property, so that it may be taken from the object. */
  readonly close = async (): Promise<void> => {
    this.ended.resolve();
    this.cut(new BoxRunError("CANCELED", "the connection was closed"));
  };

  constructor(server: FakeServer) {
    this.readable = this.toClient.readable;
    this.writable = this.toServer.writable;
    const socket = { readable: this.toServer.readable, writable: this.toClient.writable };
    Promise.resolve(socket)
      .then(server)
      .catch((cause) => {
        this.cut(new BoxRunError("STREAM_INTERRUPTED", "the server has failed", { cause }));
      });
  }

  get closed(): Promise<void> {
    return this.ended.promise;
  }

  cut(reason: unknown): void {
    if (this.openSides === 0) return;
    this.openSides = 0;
    this.toServer.cut(reason);
    this.toClient.cut(reason);
    this.ended.reject(reason);
  }

  private endSide(): void {
    if (this.openSides > 0 && --this.openSides === 0) this.ended.resolve();
  }
}

/** Bytes one way. A write waits until it is read. */
class Direction {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  private reading!: ReadableStreamDefaultController<Uint8Array>;
  private writing!: WritableStreamDefaultController;
  /** Settled when the reader asks for more. */
  private asked = deferred<void>();

  constructor(onEnd: () => void, onCut: (reason: unknown) => void) {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.reading = controller;
        },
        pull: () => this.asked.resolve(),
        cancel: onCut,
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.writing = controller;
      },
      write: async (bytes) => {
        await this.asked.promise;
        this.asked = deferred();
        // Its writer may use the buffer again.
        this.reading.enqueue(bytes.slice());
      },
      close: () => {
        this.reading.close();
        onEnd();
      },
      abort: onCut,
    });
  }

  cut(reason: unknown): void {
    this.asked.reject(reason);
    try {
      this.reading.error(reason);
      this.writing.error(reason);
    } catch {
      // It has ended already.
    }
  }
}
