import type { NetworkFailure } from "../contract/types.js";

/** Time in milliseconds that whoever makes a connection has for it, all addresses of its host together. */
export const CONNECT_MS = 30_000;

/** The errno name with which a connection fails, which the program in the box gets to see. */
export type DialErrorCode =
  | "ECONNREFUSED"
  | "ECONNRESET"
  | "EHOSTUNREACH"
  | "ENETUNREACH"
  | "ETIMEDOUT"
  | "EACCES";

/** Failure of a connection before it is open. */
export class DialError extends Error {
  override name = "DialError";
  /** Reason for the log of the box why a connection is denied, where no rule of its own does that. */
  readonly rule: string | undefined;

  /** Creates an error for a box's program: EACCES for what is denied, which the program sees as "no route to host". */
  constructor(
    readonly code: DialErrorCode,
    message: string,
    { rule, ...options }: ErrorOptions & { rule?: string } = {},
  ) {
    super(message, options);
    this.rule = rule;
  }
}

/** Failure of a connection, open or not, that no errno explains: the log of the box has its reason and its message. */
export class LoggedError extends DialError {
  override name = "LoggedError";

  constructor(
    code: DialErrorCode,
    readonly reason: NetworkFailure,
    message: string,
  ) {
    super(code, message);
  }
}

/** Failure of a relay or of its connection. */
export class RelayError extends LoggedError {
  override name = "RelayError";

  constructor(code: DialErrorCode, message: string) {
    super(code, "relay", message);
  }
}

/** Target of a connection. */
export interface DialTarget {
  /** Name that the box looked up, in lower case and without a dot at its end; or an IPv4 address, when the program connects to one. */
  host: string;
  /** TCP port, 1 to 65535. */
  port: number;
}

/** Options of {@link Dialer.connect}. */
export interface DialOptions {
  /** Aborts the attempt. A connection that is open is not affected by it. */
  signal: AbortSignal;
  /**
   * Says whether an address may be connected to. A dialer asks about each address that it finds for a name, and connects to those alone: the address that was checked is the one that is
   * dialed. If none is left it rejects with EACCES.
   *
   * @default every address may be
   */
  mayReach?: (address: string) => boolean;
  /**
   * Notes in `box.network.log()` why a request over the connection was refused: the entry gets the `reason` "refused" and this message, of which 400 characters are kept. With undefined, for a
   * later request that was answered, the entry loses both. For a dialer that answers requests itself, as that of a page does.
   *
   * @default nothing is noted
   */
  onRefusal?: (message: string | undefined) => void;
}

/**
 * A TCP connection. Each direction ends by itself: the end of `readable` is the peer's FIN, closing `writable` is ours. Canceling `readable` or aborting `writable` resets the connection, and
 * an error of either is a reset.
 */
export interface ByteConnection {
  /** Address that was dialed, where the dialer knows it. */
  readonly address?: string;
  /** Bytes from the far side. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Bytes to the far side. */
  readonly writable: WritableStream<Uint8Array>;
}

/**
 * Way out of a box: decides what a connection of a program in it becomes.
 *
 * @example
 * const recording = (inner: Dialer): Dialer => ({
 *   connect: (target, options) => {
 *     console.log(target.host, target.port);
 *     return inner.connect(target, options);
 *   },
 * });
 */
export interface Dialer {
  /** Says whether a name exists; false makes it NXDOMAIN in the box. Absent: every name is taken to exist. Rejects when nobody can tell, which the box sees as a failure of its name server. */
  resolves?(name: string, options: { signal: AbortSignal }): Promise<boolean>;
  /**
   * Connects. Rejects with the signal's reason, or with an error whose `code` is what the program in the box sees: ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, or
   * EACCES for what is denied.
   */
  connect(target: DialTarget, options: DialOptions): Promise<ByteConnection>;
}
