/**
 * BoxRun: sandboxes that are one import away. This entry is small and loads what runs boxes only when it is needed.
 */
import type { Backend } from "./backend/backend.js";
import { invalid } from "./backend/errors.js";
import { requireConnectionOptions, requireLocalOptions } from "./backend/validate.js";
import { Client } from "./client/client.js";
import { connect } from "./client/connect.js";
import type { LocalOptions } from "./local/boxes/options.js";
import type { Timeouts, TokenSource } from "./remote/http/options.js";
import type { WebSocketClass } from "./remote/socket/web-socket-types.js";

export type * from "./backend/backend.js";
export {
  BoxRunError,
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  isBoxRunError,
} from "./backend/errors.js";
export {
  type AttachOptions,
  BoxHandle,
  type Download,
  type DownloadOptions,
  type StartOptions,
  type UploadOptions,
} from "./client/box.js";
export type { CreateOptions, RunOptions, Tried } from "./client/client.js";
export type { Source } from "./exec/byte-source.js";
export type { Command, CommandOptions, ExecOptions, ExecStreamOptions } from "./exec/exec.js";
export {
  type ExecEvent,
  type ExecResult,
  Execution,
  type ExecutionWithStdin,
  ExitError,
} from "./exec/execution.js";
export type {
  BoxFiles,
  BoxPath,
  DirectoryEntry,
  FileOptions,
  FileStat,
  WriteOptions,
} from "./files/file-types.js";
export type { LocalOptions } from "./local/boxes/options.js";
export type { Timeouts, TokenSource } from "./remote/http/options.js";
export type { WebSocketClass, WebSocketLike } from "./remote/socket/web-socket-types.js";

/** Options of {@link BoxRunClient}. Those of the backend that is not chosen are checked, and not used. */
export interface ClientOptions {
  /**
   * "auto", the default: a BoxRun server if one answers, else boxes that are emulated here; `ready()` says which, and why. "remote": a server, or
   * CONNECTION_FAILED. "local": emulated here. A backend of your own is used as it is.
   */
  backend?: "auto" | "remote" | "local" | Backend;
  /** Where the server is: "http://127.0.0.1:9090". In a page it may be relative: "/". */
  baseUrl?: string;
  /** The server's Unix socket. Not in a page. */
  socketPath?: string;
  /** Sent to the server as "Authorization: Bearer". A function is asked before every request, and again after a 401. */
  token?: string | TokenSource;
  /** Sent to the server with every request. */
  headers?: Readonly<Record<string, string>>;
  /** In place of the global `fetch`, for every request to the server: another transport, or a server in this process. */
  fetch?: (request: Request) => Promise<Response>;
  /** In place of the global `WebSocket`, for terminals. It is given the URL, the sub-protocols and `{ headers }`, as the package ws takes them. */
  WebSocket?: WebSocketClass;
  timeouts?: Timeouts;
  /** How boxes are emulated here. */
  local?: LocalOptions;
}

/**
 * Creates and finds boxes.
 *
 * Throws VALIDATION_ERROR for a wrong option. Nothing is loaded, looked for or started before the first call.
 *
 * @example
 * const client = new BoxRunClient();
 * await using box = await client.create("tiny");
 * const { stdout, exitCode } = await box.exec(["echo", "hello"]);   // "hello\n", 0
 */
export class BoxRunClient extends Client {
  constructor(options: ClientOptions = {}) {
    if (typeof options !== "object") throw invalid("options must be an object");
    const { backend = "auto", local = {}, ...connection } = options;
    requireConnectionOptions(connection);
    requireLocalOptions(local);
    const isBackend = typeof backend === "object" && backend !== null;
    if (!isBackend && backend !== "auto" && backend !== "remote" && backend !== "local")
      throw invalid('backend must be "auto", "remote", "local" or a backend');
    super(() => connect(backend, connection, local));
  }
}
