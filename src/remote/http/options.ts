import type { SocketRequest, WebSocketClass, WebSocketLike } from "../../sockets/web-socket-types.js";

/** Time limits of a client for its server, in milliseconds: whole numbers from 1 to 2^31 - 1. */
export interface Timeouts {
  /** Time limit for the whole answer to a query, or to the start of a command. @default 30000 */
  requestMs?: number;
  /**
   * Time limit for calls that may take long on a server: to create, start, stop or remove a box, to remove old boxes, or to cancel a command.
   * @default 600000
   */
  lifecycleMs?: number;
  /**
   * Time limit for the next byte of a stream or a transfer. Keep-alives count, so that a silent command is no problem. The server is also asked at this
   * interval whether the command is still running, since some servers go on sending keep-alives for a command that somebody has canceled.
   * @default 60000
   */
  silenceMs?: number;
  /**
   * Time limit for the answer of each place where the client looks for a server.
   * @default 500, or 5000 for a server that the options name under `backend: "auto"`
   */
  probeMs?: number;
}

/**
 * Function that returns the token. It is called before every request, and once more with `refused: true` when the server answers 401: a function that caches
 * its token must get a new one then.
 *
 * @example
 * let token: string | undefined;
 * const source: TokenSource = async ({ refused }) => (refused ? undefined : token) ?? (token = await fetchToken());
 */
export type TokenSource = (request: { refused: boolean }) => string | Promise<string>;

/** Options of the remote backend: a server, and how to connect to it. */
export interface RemoteOptions {
  /** Absolute URL of the server, http or https. Its path is put before that of every request. */
  baseUrl: string;
  /** Name of the server for messages. @default `baseUrl` */
  name?: string;
  /** Token that is sent as "Authorization: Bearer". */
  token?: string | TokenSource;
  /** Headers that are sent with every request. */
  headers?: Readonly<Record<string, string>>;
  /** Function for every request: another transport, or a server in this process. @default the global `fetch` */
  fetch?: (request: Request) => Promise<Response>;
  /** WebSocket class for terminals. @default the global `WebSocket` */
  WebSocket?: WebSocketClass;
  /** Function that opens a WebSocket through a Unix socket, in place of a class. */
  openSocket?: (request: SocketRequest) => Promise<WebSocketLike>;
  /** Time limits for requests. */
  timeouts?: Timeouts;
  /** Pause in milliseconds before the first retry, at most; it doubles with each further one. @default 300 */
  backoffMs?: number;
  /** Called once when the backend closes. */
  onClose?: () => void;
}

const REQUEST_MS = 30_000;
const LIFECYCLE_MS = 600_000;
const SILENCE_MS = 60_000;

/** Fills in the defaults of the time limits. */
export function withDefaults(timeouts: Timeouts = {}) {
  return {
    requestMs: timeouts.requestMs ?? REQUEST_MS,
    lifecycleMs: timeouts.lifecycleMs ?? LIFECYCLE_MS,
    silenceMs: timeouts.silenceMs ?? SILENCE_MS,
  };
}
/** Time limits as {@link withDefaults} returns them. */
export type Clocks = ReturnType<typeof withDefaults>;
