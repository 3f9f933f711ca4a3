/**
 * The types of `boxrun/local`. The package's exports choose the code: local-browser.ts or local-node.ts.
 */
import type { Backend } from "./backend/backend.js";
import type { LocalOptions } from "./local/boxes/options.js";

export * from "./local-exports.js";

/**
 * Creates the local backend: its boxes are Linux machines that are emulated here, each in a Worker. `BoxRunClient` loads it by itself;
 * use this function to wrap the backend, or to serve it.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when an option is wrong
 * @throws {BoxRunError} UNSUPPORTED when this runtime has no Workers, as edge functions have none
 *
 * @example
 * const client = new BoxRunClient({ backend: createLocalBackend({ logLimitBytes: 1_000_000 }) });
 */
export declare function createLocalBackend(options?: LocalOptions): Backend;
