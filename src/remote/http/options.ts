import type { SocketRequest, WebSocketClass, WebSocketLike } from "../socket/web-socket-types.js";

/** How long the client waits. In milliseconds, each more than 0. */
export interface Timeouts {
  /** For the whole answer to a question, or to the start of a command. Default 30000. */
  requestMs?: number;
  /** For what may take long on a server: to create, start, stop or remove a box, to cancel a command. Default 600000. */
  lifecycleMs?: number;
  /**
   * For the next byte of a stream or a transfer, keep-alives included. A command that prints nothing is no silence; but as often as this the server is asked whether
   * it still runs, keep-alives or not: some go on sending them for a command that somebody has canceled. Default 60000.
   */
  silenceMs?: number;
  /** For a server to answer while `backend: "auto"` looks for one. Default 500, and 5000 for one that the options name. */
  probeMs?: number;
}

/**
 * Gives the token. It is asked before every request, and once more, with `refused` true, when the server answers 401: one that keeps a token has to get a new one then.
 *
 * @example
 * let token: string | undefined;
 * const source: TokenSource = async ({ refused }) => (refused ? undefined : token) ?? (token = await fetchToken());
 */
export type TokenSource = (request: { refused: boolean }) => string | Promise<string>;

/** A server, and how to speak to it. */
export interface RemoteOptions {
  /** Absolute, http or https. Its path comes before that of every request. */
  baseUrl: string;
  /** What to call the server in messages. Default: `baseUrl`. */
  name?: string;
  /** Sent as "Authorization: Bearer". */
  token?: string | TokenSource;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>;
  /** In place of the global `fetch`: another transport, or a server in this process. */
  fetch?: (request: Request) => Promise<Response>;
  /** In place of the runtime's own, for terminals. */
  WebSocket?: WebSocketClass;
  /** In place of both: what `socketPath` needs. */
  openSocket?: (request: SocketRequest) => Promise<WebSocketLike>;
  timeouts?: Timeouts;
  /** The first pause before something is tried again; each further one is twice as long. Default 300. */
  backoffMs?: number;
  /** Called once when the backend closes. */
  onClose?: () => void;
}

const REQUEST_MS = 30_000;
const LIFECYCLE_MS = 600_000;
const SILENCE_MS = 60_000;

/** The clocks, their defaults filled in. */
export function withDefaults(timeouts: Timeouts = {}) {
  return {
    requestMs: timeouts.requestMs ?? REQUEST_MS,
    lifecycleMs: timeouts.lifecycleMs ?? LIFECYCLE_MS,
    silenceMs: timeouts.silenceMs ?? SILENCE_MS,
  };
}
/** See {@link withDefaults}. */
export type Clocks = ReturnType<typeof withDefaults>;
