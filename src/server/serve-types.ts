import type { HandlerOptions } from "./options.js";

/** Where to serve, beside what {@link HandlerOptions} say. */
export interface ServeOptions extends HandlerOptions {
  /** Default "127.0.0.1". Any other than this machine's own needs a token. */
  host?: string;
  /** Default 9090; 0 takes a free one. */
  port?: number;
  /** A Unix socket instead of, or beside, host and port: only its owner can connect. */
  socketPath?: string;
  /** A client has this long to send the head of a request, by default 20 s. Bodies and answers may take their time: uploads and event streams do. */
  headersTimeoutMs?: number;
}

/** A server that runs. */
export interface RunningServer {
  /** Where it listens: a URL, or the path of a socket. */
  readonly addresses: string[];
  /** Ends open streams and stops listening. The backend stays open: it is the caller's. Idempotent. */
  close(): Promise<void>;
}
