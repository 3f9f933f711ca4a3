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
  /** The largest body of JSON or stdin, in bytes. Default 1 MiB. */
  maxBodyBytes?: number;
  /** Between keep-alive comments in a silent event stream, in ms. Default 15000. */
  keepAliveMs?: number;
  /** False: only what every BoxRun server has. Default true. */
  extensions?: boolean;
}

/** {@link HandlerOptions} with its defaults filled in. */
export type Settings = Required<Omit<HandlerOptions, "hosts" | "token">> &
  Pick<HandlerOptions, "hosts" | "token">;

/** Fills in the defaults. */
export function settingsOf(options: HandlerOptions): Settings {
  return {
    allowOrigins: [],
    maxUploadBytes: 2 ** 30,
    maxBodyBytes: 2 ** 20,
    keepAliveMs: 15_000,
    extensions: true,
    ...options,
  };
}
