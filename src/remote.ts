/**
 * BoxRun over a server, and nothing else: the client of the entry `boxrun`, without the code that looks for servers and that runs boxes. Made for edge
 * functions, whose bundles are limited and have no use for it.
 */
import { invalid } from "./backend/errors.js";
import { requireConnectionOptions } from "./backend/validate.js";
import { Client } from "./client/client.js";
import { namedServer, openNamed } from "./client/open-server.js";
import type { ClientOptions as AnyClientOptions } from "./index.js";

export {
  BoxRunError,
  ERROR_CODES,
  isBoxRunError,
} from "./backend/errors.js";
export { BoxHandle } from "./client/box.js";
export { Execution } from "./exec/execution.js";
export { ExitError } from "./exec/result.js";
export type * from "./index.js";

/** Options of {@link BoxRunClient} that are the same for either way to name its server. */
type OtherOptions = Omit<AnyClientOptions, "backend" | "local" | "baseUrl" | "socketPath">;

/** Options of {@link BoxRunClient}. They name the server, by one of `baseUrl` and `socketPath`. */
export type ClientOptions = OtherOptions &
  (
    | {
        /** URL of the server: "https://boxes.example.com". In a page it may be relative: "/". */
        baseUrl: string;
        socketPath?: never;
      }
    | {
        /** Path of the server's Unix socket. Not available in pages and edge functions. */
        socketPath: string;
        baseUrl?: never;
      }
  );

/**
 * Creates and finds boxes on the server that the options name. It has the methods of the client of `boxrun`, but never looks for a server, reads no environment
 * and runs no box by itself: without the server, calls reject with CONNECTION_FAILED.
 *
 * @example
 * import { BoxRunClient } from "boxrun/remote";
 *
 * const client = new BoxRunClient({ baseUrl: "http://127.0.0.1:9090", token: "secret" });
 */
export class BoxRunClient extends Client {
  /**
   * Creates a client. Nothing is requested before its first call.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when an option is wrong, or neither `baseUrl` nor `socketPath` is given
   */
  constructor(options: ClientOptions) {
    if (typeof options !== "object" || options === null)
      throw invalid("options must be an object that names the server", NAME_ONE);
    for (const name of ["backend", "local"])
      if (name in options)
        throw invalid(`boxrun/remote has no option ${name}`, "import BoxRunClient from boxrun to use it");
    requireConnectionOptions(options);
    const place = namedServer(options);
    if (!place) throw invalid("baseUrl is missing", NAME_ONE);
    super(() => openNamed(place, options));
  }
}

const NAME_ONE = 'name the server: { baseUrl: "https://boxes.example.com", token }, or { socketPath }';
