import type { Backend } from "./backend/backend.js";
import { LocalBackend } from "./local/boxes/local-backend.js";
import type { LocalOptions } from "./local/boxes/options.js";
import { nodeHost } from "./local/host/host-node.js";

export type { LocalOptions } from "./local/boxes/options.js";

/**
 * The local backend: boxes are Linux machines emulated here, each in a worker thread. `BoxRunClient` loads it by itself;
 * import it to serve it or to wrap it.
 *
 * @example
 * const client = new BoxRunClient({ backend: createLocalBackend() });
 */
export function createLocalBackend(options: LocalOptions = {}): Backend {
  return new LocalBackend(nodeHost, options);
}
