import type { Connection, PortInfo } from "../backend/backend.js";
import type { CallOptions } from "../backend/call.js";

/** Options of {@link BoxPorts.waitFor}. */
export interface WaitForPortOptions extends CallOptions {
  /** Longest wait, in milliseconds. @default 60_000 */
  timeoutMs?: number;
}

/**
 * The TCP ports of a box: {@link BoxHandle.ports}. They need no network of the box, and also reach servers that listen on its loopback alone.
 *
 * Every method rejects with BOX_NOT_RUNNING when the box is not running, and with UNSUPPORTED over a server that has no connections to boxes.
 */
export interface BoxPorts {
  /** Lists the ports on which servers listen, lowest first. */
  list(options?: CallOptions): Promise<PortInfo[]>;
  /**
   * Waits until a server listens on the port. Rejects with the signal's reason when `signal` aborts.
   *
   * @throws {BoxRunError} PORT_CLOSED when nothing listens within `timeoutMs`
   *
   * @example
   * await box.spawn("python3", ["-m", "http.server", "8000"], { detached: true });
   * await box.ports.waitFor(8000);
   */
  waitFor(port: number, options?: WaitForPortOptions): Promise<PortInfo>;
  /**
   * Yields the list of ports at once, and then whenever it has changed: it is looked at twice a second while somebody iterates. Rejects when the box ends.
   *
   * @example
   * for await (const ports of box.ports.watch()) console.log(ports.map(({ port }) => port));
   */
  watch(options?: CallOptions): AsyncGenerator<PortInfo[], void, undefined>;
}

/** A connection to a server in a box, as {@link BoxHandle.connect} gives it. */
export interface BoxConnection extends Connection {
  /** Closes it, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options of {@link BoxHandle.connectWebSocket}. */
export interface WebSocketOptions extends CallOptions {
  /** Sub-protocols that are offered to the server. @default none */
  protocols?: readonly string[];
  /** Headers of the handshake, such as a cookie. @default none */
  headers?: Readonly<Record<string, string>>;
}

/** A WebSocket to a server in a box. Each message is text or bytes, with back-pressure both ways. */
export interface BoxWebSocket {
  /** Messages from the server. Ends when it closes. Canceling it closes the WebSocket. */
  readonly readable: ReadableStream<string | Uint8Array>;
  /** Messages to the server. Closing it closes the WebSocket. */
  readonly writable: WritableStream<string | Uint8Array>;
  /** Sub-protocol that the server chose; empty for none. */
  readonly protocol: string;
  /**
   * Resolves with the server's code and reason once the WebSocket is closed; the code is 1006 when the connection was cut. Never rejects. One message is read ahead: if more wait to be read,
   * the close that follows them is seen after they are.
   */
  readonly closed: Promise<{
    /** Code of the close: 1000 for an ordinary one. */
    code: number;
    /** Reason that was given; empty for none. */
    reason: string;
  }>;
  /**
   * Closes the WebSocket, with a code of 1000 or from 3000 to 4999. Resolves once the server has answered, or has not within five seconds.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when the code or the reason is wrong
   */
  close(code?: number, reason?: string): Promise<void>;
}

/** An address under which a browser shows a server in a box, until it is closed or the box stops. */
export interface Preview {
  /** Address of the server's first page, for a browser: "http://127.0.0.1:40123/". On a server it has a secret: whoever knows it, may look. In a page it is for an `iframe` of that page. */
  readonly url: string;
  /** Ends the preview and cuts its connections. Idempotent. */
  close(): Promise<void>;
  /** Closes it, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Options of {@link BoxHandle.forward}. */
export interface ForwardOptions {
  /** Port of this machine to listen on. @default a free one */
  hostPort?: number;
  /** Address of this machine to listen on. "0.0.0.0" lets other machines in. @default "127.0.0.1" */
  host?: string;
  /** Ends the forwarding. @default none */
  signal?: AbortSignal;
}

/** A port of this machine that leads to one of a box. Its owner closes it; the end of the box does so, too. */
export interface Forwarding {
  /** Address for programs on this machine: "http://127.0.0.1:40123". */
  readonly url: string;
  /** Port of this machine. */
  readonly hostPort: number;
  /** Resolves once it has ended: by `close`, its signal, or the end of the box, which is noticed within a second. Never rejects. */
  readonly closed: Promise<void>;
  /** Stops listening and resets open connections. Idempotent. */
  close(): Promise<void>;
  /** Closes it, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
