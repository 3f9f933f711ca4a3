import type { HandlerOptions } from "./options.js";

/** Options of {@link serve}. */
export interface ServeOptions extends HandlerOptions {
  /** Address or name to listen on. One that other machines can reach needs a token. @default "127.0.0.1", unless only `socketPath` is given */
  host?: string;
  /** Port to listen on; 0 takes a free one. @default 9090, unless only `socketPath` is given */
  port?: number;
  /** Path of a Unix socket to listen on, instead of host and port, or beside them. Only its owner can connect, without a token. @default none */
  socketPath?: string;
  /**
   * Time in milliseconds that a client has to send the headers of a request. Bodies and answers may take longer, as uploads and event streams do.
   * @default 20000
   */
  headersTimeoutMs?: number;
}

/** A running server, from {@link serve}. */
export interface RunningServer {
  /** Addresses that it listens on: URLs, and the path of a socket. */
  readonly addresses: string[];
  /** Closes all connections and stops listening. The backend stays open. Idempotent. */
  close(): Promise<void>;
}
