import type { Backend } from "../backend/backend.js";
import { invalid } from "../backend/errors.js";

/** Options of {@link createHandler}. */
export interface HandlerOptions {
  /**
   * Hosts that a request may name, without ports: any other is refused, which keeps a web page from reaching this server under a name of its own (DNS rebinding).
   * Default: any, as befits a handler that is called in-process or behind a server that checks.
   */
  hosts?: readonly string[];
  /** Origins of other pages that may use this server ("https://example.com"): they get CORS headers. Default: none, and requests from other origins are refused. */
  allowOrigins?: readonly string[];
  /** Asked of every request as a bearer token. Default: none. */
  token?: string;
  /** The largest upload, in bytes. Default 1 GiB. */
  maxUploadBytes?: number;
  /** The largest body of JSON or stdin, in bytes. Default 4 MiB: a command of 2 MiB fits, as Linux takes it. */
  maxBodyBytes?: number;
  /** Between keep-alive comments in a silent event stream, in ms. Default 15000. */
  keepAliveMs?: number;
  /** False: only what every BoxRun server has. Default true. */
  extensions?: boolean;
}

/** {@link HandlerOptions} with its defaults filled in. */
export type Settings = Required<Omit<HandlerOptions, "hosts" | "token">> &
  Pick<HandlerOptions, "hosts" | "token">;

const DEFAULTS = {
  allowOrigins: [],
  maxUploadBytes: 2 ** 30,
  maxBodyBytes: 4 * 2 ** 20,
  keepAliveMs: 15_000,
  extensions: true,
};
const OPTIONS = [...Object.keys(DEFAULTS), "hosts", "token"];

/** Fills in the defaults. VALIDATION_ERROR names an option that there is not, and a token that nobody could send. */
export function settingsOf(options: HandlerOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw invalid(`there is no option ${JSON.stringify(name)}`);
  }
  const { token } = options;
  // The value itself must not be in the message.
  if (token !== undefined && !(typeof token === "string" && /^[\x21-\x7e]+$/.test(token))) {
    throw invalid("token must be a string of visible ASCII characters", "leave it out where none is wanted");
  }
  return { ...DEFAULTS, ...options };
}

/** VALIDATION_ERROR for what is clearly no backend. */
export function requireBackend(backend: Backend): void {
  if (typeof backend?.info === "function" && typeof backend.createBox === "function") return;
  throw invalid("the first argument must be a backend", "as createLocalBackend() of boxrun/local makes one");
}
