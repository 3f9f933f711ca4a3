import type { Backend } from "./backend/backend.js";
import { LocalBackend } from "./local/boxes/local-backend.js";
import type { LocalOptions } from "./local/boxes/options.js";
import { nodeHost } from "./local/host/host-node.js";

export * from "./local-exports.js";

/**
 * Creates the local backend: its boxes are Linux machines that are emulated here, each in a worker thread. `BoxRunClient` loads it by itself;
 * use this function to wrap the backend, or to serve it.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when an option is wrong
 *
 * @example
 * const client = new BoxRunClient({ backend: createLocalBackend() });
 */
export function createLocalBackend(options: LocalOptions = {}): Backend {
  return new LocalBackend(nodeHost, options);
}
