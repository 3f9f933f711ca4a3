/** The ports of boxes, as a backend reaches them. */
import type { PortInfo } from "../contract/types.js";
import type { CallOptions } from "./call.js";

/**
 * A TCP connection to a server in a box. Each direction has back-pressure, and ends by itself: closing `writable` tells the server that no more comes, and
 * `readable` ends when the server says the same. Canceling `readable` or aborting `writable` resets the connection.
 *
 * @example
 * const { readable, writable } = await box.connect(6379);
 * const writer = writable.getWriter();
 * await writer.write(new TextEncoder().encode("PING\r\n"));
 */
export interface Connection {
  /** Bytes from the server. Fails with STREAM_INTERRUPTED when the connection is cut, and BOX_NOT_RUNNING when the box ends. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Bytes to the server. */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when both directions have ended, or this side has closed or canceled it. Rejects when it is cut, or `writable` aborted. Asked for, it keeps a Node process alive. */
  readonly closed: Promise<void>;
  /** Resets the connection, unless both directions have ended: reads and writes reject with CANCELED. Idempotent, and may be called apart from the connection. */
  close(): Promise<void>;
}

/** Connections to the servers in boxes: the part of a `Backend` that has the capability "ports". */
export interface BackendPorts {
  /**
   * Lists the TCP ports on which servers listen, lowest first.
   *
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   */
  list(boxId: string, options?: CallOptions): Promise<PortInfo[]>;
  /**
   * Connects to a TCP port of the box's loopback, 127.0.0.1 or else ::1. Rejects with the signal's reason when `signal` aborts; a connection that is open is not
   * affected by it.
   *
   * @throws {BoxRunError} PORT_CLOSED when nothing listens on the port
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   */
  connect(boxId: string, port: number, options?: CallOptions): Promise<Connection>;
  /**
   * Opens an address for browsers that leads to a port, until it is closed or the box ends. Absent: handles use a port of this machine.
   *
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} UNSUPPORTED when the backend has no address to give
   */
  preview?(boxId: string, port: number): Promise<BackendPreview>;
}

/** An address that leads to a port of a box, from {@link BackendPorts.preview}. */
export interface BackendPreview {
  /** Address of the first page. */
  url: string;
  /** Ends it. */
  close(): Promise<void>;
}
