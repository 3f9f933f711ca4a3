/**
 * BoxRun: sandboxes that are one import away. This entry is small; the code that runs boxes is loaded when it is needed.
 */
import type { Backend } from "./backend/backend.js";
import { invalid } from "./backend/errors.js";
import { requireConnectionOptions, requireLocalOptions } from "./backend/validate.js";
import { Client } from "./client/client.js";
import { connect } from "./client/connect.js";
import type { LocalOptions } from "./local/boxes/options.js";
import type { Timeouts, TokenSource } from "./remote/http/options.js";
import type { WebSocketClass } from "./sockets/web-socket-types.js";

export type * from "./backend/backend.js";
export {
  BoxRunError,
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  isBoxRunError,
} from "./backend/errors.js";
export { BoxHandle } from "./client/box.js";
export type {
  AttachOptions,
  Download,
  DownloadOptions,
  StartOptions,
  UploadOptions,
} from "./client/box-options.js";
export type { CreateOptions, ListOptions, RunOptions, Tried } from "./client/client-options.js";
export type { Command } from "./exec/arguments.js";
export type { Source } from "./exec/byte-source.js";
export type { CommandOptions, ExecOptions, ExecStreamOptions } from "./exec/exec.js";
export { type ExecEvent, Execution, type ExecutionWithStdin } from "./exec/execution.js";
export type { ExecutionPromise } from "./exec/execution-promise.js";
export { type ExecResult, ExitError } from "./exec/result.js";
export type { Shell, ShellTag, ShellValue, ShellWord } from "./exec/shell.js";
export type {
  BoxFiles,
  BoxPath,
  DirectoryEntry,
  FileEvent,
  FileOptions,
  FileStat,
  FilesToWrite,
  FileToWrite,
  FileWatch,
  TextEncoding,
  WatchOptions,
  WriteOptions,
} from "./files/file-types.js";
export type { ImagePackage, LocalOptions } from "./local/boxes/options.js";
export type { BoxNetwork } from "./network/box-network.js";
export type {
  BoxConnection,
  BoxPorts,
  BoxWebSocket,
  Forwarding,
  ForwardOptions,
  Preview,
  WaitForPortOptions,
  WebSocketOptions,
} from "./ports/port-types.js";
export type { Timeouts, TokenSource } from "./remote/http/options.js";
export type { WebSocketClass, WebSocketLike } from "./sockets/web-socket-types.js";

/** Options of {@link BoxRunClient}. Options for a backend that is not chosen are checked, but not used. */
export interface ClientOptions {
  /**
   * Place where boxes run. "auto": on a BoxRun server if one answers, else emulated here; {@link BoxRunClient.ready} says which, and why. "remote": on a
   * server, or calls reject with CONNECTION_FAILED. "local": emulated here. A backend object is used as it is.
   * @default "auto"
   */
  backend?: "auto" | "remote" | "local" | Backend;
  /**
   * URL of the server: "http://127.0.0.1:9090". In a page it may be relative: "/". A "/v1" at its end is dropped. Cannot be combined with `socketPath`.
   * @default the Unix socket `$BOXRUN_SOCKET`, else `$BOXRUN_STATE_DIR/boxrun.sock`, else `~/.boxrun/boxrun.sock`, if there is one; then
   * `http://$BOXRUN_HOST:$BOXRUN_PORT`, for which 127.0.0.1 and 9090 stand in. A page tries its own origin, and under "auto" only if that is this machine
   */
  baseUrl?: string;
  /** Path of the server's Unix socket. Not available in pages; cannot be combined with `baseUrl` or `fetch`. @default none */
  socketPath?: string;
  /** Token that is sent to the server as "Authorization: Bearer". A function is called before every request, and again after an answer of 401. @default none */
  token?: string | TokenSource;
  /** Headers that are sent to the server with every request. @default none */
  headers?: Readonly<Record<string, string>>;
  /** Function for every request to the server: another transport, or a server in this process. @default the global `fetch` */
  fetch?: (request: Request) => Promise<Response>;
  /**
   * WebSocket class for terminals. Its constructor gets the URL, the sub-protocols and `{ headers }`, in the order of the package ws.
   * @default the global `WebSocket`
   */
  WebSocket?: WebSocketClass;
  /** Time limits for requests to the server. */
  timeouts?: Timeouts;
  /** Options for boxes that are emulated here. */
  local?: LocalOptions;
}

/**
 * Creates and finds boxes.
 *
 * Over a server, every call of the client and its handles can also reject with these codes: CONNECTION_FAILED when nothing answers in time, PROTOCOL_ERROR when
 * the answer is not that of a BoxRun server, and VALIDATION_ERROR with `status` 401 when the server wants another token.
 *
 * @example
 * const client = new BoxRunClient();
 * await using box = await client.create("tiny");
 * const { stdout, exitCode } = await box.exec(["echo", "hello"]);   // "hello\n", 0
 */
export class BoxRunClient extends Client {
  /**
   * Creates a client. Nothing is loaded, looked up or started before its first call.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when an option is wrong
   */
  constructor(options: ClientOptions = {}) {
    if (typeof options !== "object" || options === null) throw invalid("options must be an object");
    const { backend = "auto", local = {}, ...connection } = options;
    requireConnectionOptions(connection);
    requireLocalOptions(local, "local");
    const isBackend = typeof backend === "object" && backend !== null;
    if (!isBackend && backend !== "auto" && backend !== "remote" && backend !== "local")
      throw invalid('backend must be "auto", "remote", "local" or a backend');
    super(() => connect(backend, connection, local));
  }
}
