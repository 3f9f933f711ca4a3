import type { Backend } from "./backend/backend.js";
import { unsupported } from "./backend/errors.js";
import { LocalBackend } from "./local/boxes/local-backend.js";
import type { LocalOptions } from "./local/boxes/options.js";
import { browserHost } from "./local/host/host-browser.js";

export * from "./local-exports.js";

/**
 * Creates the local backend: its boxes are Linux machines that are emulated here, each in a module Worker. `BoxRunClient` loads it by itself;
 * use this function to wrap the backend, or to serve it.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when an option is wrong
 * @throws {BoxRunError} UNSUPPORTED when this runtime has no Workers, as edge functions have none
 *
 * @example
 * const client = new BoxRunClient({ backend: createLocalBackend() });
 */
export function createLocalBackend(options: LocalOptions = {}): Backend {
  if (typeof Worker === "undefined") {
    throw unsupported(
      "this runtime has no Workers, so it cannot run machines",
      "use a BoxRun server: set baseUrl",
    );
  }
  return new LocalBackend(browserHost, options);
}
