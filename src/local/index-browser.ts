import type { Backend } from "../backend.js";
import { unsupported } from "../errors.js";
import { browserHost } from "./host-browser.js";
import { LocalBackend } from "./local-backend.js";
import type { LocalOptions } from "./options.js";

export type { LocalOptions } from "./options.js";

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
