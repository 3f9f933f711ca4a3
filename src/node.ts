/**
 * The types of `boxrun/node`: what only a Node process can do. The code is server/node/serve.ts.
 */
import type { Backend } from "./backend/backend.js";
import type { RunningServer, ServeOptions } from "./server/serve-types.js";

export type { HandlerOptions } from "./server/options.js";
export type { RunningServer, ServeOptions } from "./server/serve-types.js";

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
