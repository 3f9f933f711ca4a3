/**
 * The types of `boxrun/node`, which only works in Node. The code is server/node/serve.ts.
 */
import type { Backend } from "./backend/backend.js";
import type { RunningServer, ServeOptions } from "./server/serve-types.js";

export type { HandlerOptions, RelayOptions } from "./server/options.js";
export type { RunningServer, ServeOptions } from "./server/serve-types.js";

/**
 * Serves a backend over HTTP, terminals included, as `boxrun serve` does. It listens on the loopback address unless told otherwise, and there accepts only
 * requests whose Host header names this machine and which do not come from a page of another origin. The backend stays open when the server closes: it is the
 * caller's.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when other machines can reach `host` and there is no token, when the port or the socket path is impossible, or when
 * {@link createHandler} refuses an argument
 * @throws {BoxRunError} RUNTIME_ERROR when it cannot listen: the address is taken, or a file that is not a socket has the path, which is left alone
 *
 * @example
 * const backend = createLocalBackend();
 * const server = await serve(backend, { port: 0 });
 * console.log(server.addresses);   // ["http://127.0.0.1:40123"]
 * await server.close();
 * await backend.close();
 */
export declare function serve(backend: Backend, options?: ServeOptions): Promise<RunningServer>;
