/**
 * The types of `boxrun/node`: what only a Node process can do. The code is serve/serve.ts.
 */
import type { Backend } from "./backend.js";
import type { HandlerOptions } from "./server/handler.js";

export type { HandlerOptions } from "./server/handler.js";

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

/**
 * Serves a backend over HTTP on this machine, terminals included: what `boxrun serve` does, in a program of your own. Safe as it is: on the loopback address or a socket, only for
 * requests that name this machine and come from no other page.
 *
 * Throws VALIDATION_ERROR for a host that others reach without a token, for a port or a path that a server cannot have, and for what `createHandler` refuses; RUNTIME_ERROR when it
 * cannot listen there: the address is taken, or something that is no socket is there, which stays.
 *
 * @example
 * const backend = createLocalBackend();
 * const server = await serve(backend, { port: 0 });
 * console.log(server.addresses);   // ["http://127.0.0.1:40123"]
 * await server.close();
 * await backend.close();
 */
export declare function serve(backend: Backend, options?: ServeOptions): Promise<RunningServer>;
