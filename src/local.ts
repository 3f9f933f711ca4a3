/**
 * The types of `boxrun/local`. The package's exports choose the code: local-browser.ts or local-node.ts.
 */
import type { Backend } from "./backend/backend.js";
import type { LocalOptions } from "./local/boxes/options.js";

export type { LocalOptions } from "./local/boxes/options.js";

/**
 * The local backend: boxes are Linux machines emulated here, each in a Worker. `BoxRunClient` loads it by itself;
 * import it to wrap it. Throws VALIDATION_ERROR for a wrong option.
 *
 * @example
 * const client = new BoxRunClient({ backend: createLocalBackend({ logLimitBytes: 1_000_000 }) });
 */
export declare function createLocalBackend(options?: LocalOptions): Backend;
