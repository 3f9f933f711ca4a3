import type { Backend } from "./backend/backend.js";
import { unsupported } from "./backend/errors.js";
import { LocalBackend } from "./local/boxes/local-backend.js";
import type { LocalOptions } from "./local/boxes/options.js";
import { browserHost } from "./local/host/host-browser.js";

export type { LocalOptions } from "./local/boxes/options.js";

/**
 * The local backend: boxes are Linux machines emulated here, each in a module Worker. `BoxRunClient` loads it by itself;
 * import it to serve it or to wrap it. UNSUPPORTED where there are no Workers, as in edge functions.
 *
 * @example
 * const client = new BoxRunClient({ backend: createLocalBackend() });
 */
export function createLocalBackend(options: LocalOptions = {}): Backend {
  if (typeof Worker === "undefined") {
    throw unsupported("this runtime has no Workers: it cannot run machines", "use a BoxRun server: baseUrl");
  }
  return new LocalBackend(browserHost, options);
}
