/**
 * The one interface between the handles that callers hold (`BoxRunClient`, `BoxHandle`, `Execution`) and whatever runs
 * boxes. It follows the BoxRun API call by call, so that an adapter to or from HTTP has nothing to invent.
 *
 * A backend rejects with `BoxRunError` only. It works on bytes; text is made above this interface.
 */

import type {
  BackendEvent,
  BoxInfo,
  BoxSpec,
  BoxStatus,
  BoxUsage,
  CreateProgress,
  ExecInfo,
  ExecSpec,
  FileChange,
  FileEntry,
  FileOperation,
  ImageInfo,
  NetworkLogEntry,
  NetworkOptions,
  Secrets,
  TerminalSpec,
  TransferProgress,
} from "../contract/types.js";

import type { BackendPorts } from "./backend-ports.js";
import type { CallOptions } from "./call.js";
import type { VolumeSource } from "./volume-types.js";

export type * from "../contract/types.js";
export type * from "./backend-ports.js";
export type { CallOptions } from "./call.js";
export type * from "./volume-types.js";

/** Description of a backend. */
export interface BackendInfo {
  /** Kind of backend. */
  backend: "local" | "remote" | (string & {});
  /** Description for people: "a machine emulated by v86 in Node 20.20.2". */
  description: string;
  /** Largest number of processors that a box may ask for. */
  maxCpu: number;
  /** Memory in MiB that all boxes may have together. */
  maxMemoryMb: number;
  /** Features that work, and the reasons why others do not. */
  capabilities: Capabilities;
  /** Way by which the connections of boxes leave. Absent where boxes have no network, and where only a server knows. */
  wayOut?: WayOutName;
}

/**
 * Way by which the connections of a box that has a network leave:
 *
 * - `direct`: this machine makes them
 * - `relay`: a relay makes them (`local.relay`)
 * - `dialer`: a function of the caller's makes them (`local.dialer`)
 * - `fetch`: a page makes the requests of HTTP and HTTPS by its own fetch, and no other connections
 */
export type WayOutName = "direct" | "fetch" | "relay" | "dialer" | (string & {});

/**
 * Name of a feature that not every backend has:
 *
 * - `bytes`: output arrives as exact bytes, not as text
 * - `cursor`: a reader of output can start after a given event
 * - `stdin`: commands can have a stdin
 * - `signal`: signals can be sent to commands
 * - `network`: boxes can reach the network
 * - `secrets`: requests of a box get secrets that its programs do not have
 * - `volumes`: directories of the host can be mounted
 * - `attach`: boxes have terminals
 * - `persistence`: boxes outlive the page or process
 * - `usage`: the backend reports how much storage a box uses
 * - `pull`: whole images can be fetched ahead of time
 * - `files`: small file operations need no command in the box
 * - `watch`: changes of files are reported ({@link Backend.watchFiles})
 * - `ports`: servers in a box can be connected to ({@link Backend.ports})
 * - `stderr`: a command's stderr can go where its stdout goes ({@link ExecSpec.stderr})
 */
export type Capability =
  | "bytes"
  | "cursor"
  | "stdin"
  | "signal"
  | "network"
  | "secrets"
  | "volumes"
  | "attach"
  | "persistence"
  | "usage"
  | "pull"
  | "files"
  | "watch"
  | "ports"
  | "stderr";

/**
 * Features that a backend has: true, or the reason why not. An absent one is missing, without a reason: a backend need not know the features that later versions
 * add.
 */
export type Capabilities = { readonly [name in Capability]?: true | string | undefined };

/** Options of {@link Backend.createBox} and {@link Backend.startBox}. */
export interface LaunchOptions {
  /** Aborts the creation or the start. */
  signal?: AbortSignal;
  /** Called at each step. */
  onProgress?: (progress: CreateProgress) => void;
  /** Secrets of the box. They are beside its description because they are never stored: a start needs those of the creation again. @default none */
  secrets?: Secrets;
  /** Volumes that are no directories of the host. They are beside the box's description as its secrets are: a start needs those of the creation again. @default none */
  volumes?: readonly VolumeSource[];
}

/** A file that is being read out of a box. Canceling the stream ends the transfer. */
export interface DownloadResult {
  /** Size in bytes when the transfer began; null when unknown. */
  size: number | null;
  /** Permission bits. Absent when the backend does not report them. */
  mode?: number;
  /** Contents of the file, read at the pace of the stream's reader. */
  stream: ReadableStream<Uint8Array>;
}

/** Options of {@link Backend.upload}. Without `mode`, an existing file keeps its own. */
export interface UploadSpec {
  /** Permission bits, for a new file and an existing one. */
  mode?: number;
  /** Permission bits of a new file when `mode` is absent. @default 0o644 */
  newMode?: number;
  /** Aborts the upload, which then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * A shell in a box on a terminal of its own. Output waits for its reader, and can still be read after the shell has ended.
 *
 * @example
 * const terminal = await box.attach({ cols: 120, rows: 40 });
 * terminal.readable.pipeTo(new WritableStream({ write: (bytes) => xterm.write(bytes) }));
 * const writer = terminal.writable.getWriter();
 * xterm.onData((text) => writer.write(text));
 */
export interface Terminal {
  /** Output of the terminal. Canceling the stream ends the shell. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Input of the terminal, as bytes or text, with back-pressure. Closing the stream does not end the shell. */
  readonly writable: WritableStream<Uint8Array | string>;
  /**
   * Resolves with the exit code of the shell, or with null when it was closed or killed from this side. Rejects with a `BoxRunError` (STREAM_INTERRUPTED,
   * BOX_NOT_RUNNING, ...) or with the signal's reason. It always settles, and a rejection that nobody handles is not reported as an unhandled one.
   */
  readonly exited: Promise<number | null>;
  /**
   * Sets the size, and tells the programs in the terminal about it. Columns and rows are 1 to 1000.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when one of them is out of range
   */
  resize(cols: number, rows: number): void;
  /** Ends the shell. Idempotent, and may be called apart from the terminal. */
  close(): Promise<void>;
}

/** The networks of boxes: the part of a {@link Backend} whose boxes may have rules, and the log of what they connect to. */
export interface BackendNetwork {
  /**
   * Replaces the rules of a box that runs. Connections that they do not allow are reset. Resolves to the box as it is then.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when a rule makes no sense, or the box was created without a network
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   */
  update(boxId: string, network: true | NetworkOptions, options?: CallOptions): Promise<BoxInfo>;
  /**
   * Lists the last connections of a box that runs, oldest first.
   *
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   */
  log(boxId: string, options?: CallOptions): Promise<NetworkLogEntry[]>;
}

/**
 * A place that runs boxes. Implement it to put `BoxRunClient` or `createHandler` over something else; `contractSuite` of `boxrun/testing` tests an
 * implementation.
 *
 * Every method rejects with a {@link BoxRunError} and nothing else, except for the reason of a `signal` that aborts. Boxes and executions are named by the `id`
 * of {@link BoxInfo} and {@link ExecInfo}; a call that names one that does not exist rejects with BOX_NOT_FOUND or EXEC_NOT_FOUND.
 *
 * Required members are those of the published API and of this first version of the interface. What later versions add is an optional member, so that an implementation
 * goes on working: without it, handles do without, or reject with UNSUPPORTED.
 *
 * Handles leave a call when its caller's signal aborts. A method that only asks for something gets the signal as well, and may end its work; it need not.
 */
export interface Backend {
  /** Features that work, and the reasons why others do not. */
  readonly capabilities: Capabilities;
  /** True when the backend ends commands at their time limit by itself, by a clock of its own. Absent: handles watch the time, too. */
  readonly keepsTimeLimits?: boolean;

  /** Describes the backend and its limits. */
  info(options?: CallOptions): Promise<BackendInfo>;
  /**
   * Lists the images that boxes can be created from.
   *
   * @throws {BoxRunError} UNSUPPORTED when the backend cannot list them
   */
  images(options?: CallOptions): Promise<ImageInfo[]>;
  /**
   * Fetches a whole image, so that boxes of it need no network.
   *
   * @throws {BoxRunError} IMAGE_PULL_FAILED when there is no such image or a part of it cannot be fetched
   * @throws {BoxRunError} UNSUPPORTED without the capability "pull", and where nothing that is fetched can be kept
   */
  pullImage(
    image: string,
    options: { signal?: AbortSignal; onProgress?: (progress: TransferProgress) => void },
  ): Promise<void>;

  /**
   * Creates a box and starts it. Rejects with the signal's reason when `signal` aborts, and leaves no box behind then.
   *
   * @throws {BoxRunError} NAME_ALREADY_EXISTS when another box has the name
   * @throws {BoxRunError} IMAGE_PULL_FAILED when there is no such image or it cannot be fetched
   * @throws {BoxRunError} RESOURCE_EXCEEDED when the memory of all running boxes would be too much
   * @throws {BoxRunError} UNSUPPORTED when the backend lacks a feature that `spec` asks for
   */
  createBox(spec: BoxSpec, options: LaunchOptions): Promise<BoxInfo>;
  /**
   * Finds a box by its id or name.
   *
   * @throws {BoxRunError} BOX_NOT_FOUND when there is none
   */
  getBox(idOrName: string, options?: CallOptions): Promise<BoxInfo>;
  /**
   * Lists boxes, newest first; those of the same millisecond are sorted by id. The status "all" is no filter.
   *
   * @throws {BoxRunError} VALIDATION_ERROR for a status that no box can have
   */
  listBoxes(filter: { status?: BoxStatus | "all" }, options?: CallOptions): Promise<BoxInfo[]>;
  /**
   * Calls `onChange` whenever a box may have changed, whoever changed it, until the function that it resolves to is called. Ask `listBoxes` what changed.
   * Absent when the backend cannot watch: then the client polls the list.
   */
  watchBoxes?(onChange: () => void): Promise<() => void>;
  /**
   * Ends all commands in the box, stops it and keeps its disk.
   *
   * @throws {BoxRunError} BOX_NOT_RUNNING when it is not running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs it
   */
  stopBox(id: string): Promise<BoxInfo>;
  /**
   * Starts a stopped box. Rejects with the signal's reason when `signal` aborts; the box is stopped then.
   *
   * @throws {BoxRunError} BOX_ALREADY_RUNNING when it is running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs it
   * @throws {BoxRunError} RESOURCE_EXCEEDED when the memory of all running boxes would be too much
   * @throws {BoxRunError} STATE_MISMATCH when its disk or record is gone, damaged or of a newer version
   * @throws {BoxRunError} VALIDATION_ERROR when the secrets are not those that the box was created with, by name
   */
  startBox(id: string, options: LaunchOptions): Promise<BoxInfo>;
  /**
   * Removes a box and its disk.
   *
   * @throws {BoxRunError} BOX_ALREADY_RUNNING when it is running and `force` is false
   */
  removeBox(id: string, options: { force: boolean }): Promise<void>;
  /** Removes boxes that have been stopped or in status "error" for at least `olderThan` seconds. Resolves to the number of removed boxes. */
  gc(options: { olderThan: number }): Promise<number>;
  /**
   * Reports how much storage the box uses.
   *
   * @throws {BoxRunError} UNSUPPORTED without the capability "usage"
   */
  usage(id: string, options?: CallOptions): Promise<BoxUsage>;

  /**
   * Starts a command. Resolves once it runs, or has ended because it could not be run.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when the workdir does not exist
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   */
  startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo>;
  /**
   * Finds an execution by its id.
   *
   * @throws {BoxRunError} EXEC_NOT_FOUND when there is none, or it has been forgotten
   */
  getExec(boxId: string, execId: string, options?: CallOptions): Promise<ExecInfo>;
  /** Lists executions, newest first; those of the same millisecond are sorted by id. */
  listExecs(boxId: string, options?: CallOptions): Promise<ExecInfo[]>;
  /** Yields every event whose `seq` is greater than `after` (0: all of them), then live ones, up to and including "exit". */
  execEvents(
    boxId: string,
    execId: string,
    options: { after: number; signal?: AbortSignal },
  ): AsyncIterable<BackendEvent>;
  /** Resolves to the final state once the command has ended. Reads no output. */
  waitExec(boxId: string, execId: string, options: { signal?: AbortSignal }): Promise<ExecInfo>;
  /**
   * Ends the command's process group and session. Resolves once they are gone.
   *
   * @throws {BoxRunError} EXEC_ALREADY_FINISHED when the command has ended
   */
  cancelExec(boxId: string, execId: string): Promise<ExecInfo>;
  /**
   * Sends a signal ("SIGINT") to the command's process group. "SIGKILL" goes to its whole session.
   *
   * @throws {BoxRunError} EXEC_ALREADY_FINISHED when the command has ended
   */
  signalExec(boxId: string, execId: string, signal: string): Promise<void>;
  /**
   * Writes to the command's stdin. Resolves when the bytes are on their way and there is room for more.
   *
   * @throws {BoxRunError} EXEC_ALREADY_FINISHED when the command has ended
   */
  writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void>;
  /** Closes the command's stdin: it reads the end of its input. */
  closeStdin(boxId: string, execId: string): Promise<void>;

  /**
   * Starts a shell on a terminal. The shell ends when `signal` aborts.
   *
   * @throws {BoxRunError} UNSUPPORTED without the capability "attach"
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   */
  attach(boxId: string, spec: TerminalSpec, options: { signal?: AbortSignal }): Promise<Terminal>;

  /**
   * Writes one file. Creates the directories of its path and follows links at its end. A regular file that exists is replaced, completely or not at all, and
   * keeps its owner; a device, a kernel file (as under /proc) and a file that is a mount are written in place.
   *
   * @throws {BoxRunError} RUNTIME_ERROR when the path is a directory, a FIFO or a socket, or the box refuses for another reason
   * @throws {BoxRunError} STORAGE_FULL when the box's disk is full
   */
  upload(boxId: string, path: string, body: ReadableStream<Uint8Array>, options: UploadSpec): Promise<void>;
  /**
   * Reads one regular file. If it grows meanwhile, only as much is read as it had when the transfer began.
   *
   * @throws {BoxRunError} RUNTIME_ERROR when there is no such file, or it is not a regular one
   */
  download(boxId: string, path: string, options: { signal?: AbortSignal }): Promise<DownloadResult>;

  /**
   * Performs one file operation without a command in the box. Resolves to the one entry of "stat", to all entries of "list", and to none otherwise. Called only
   * with the capability "files"; without it, commands in the box do the same.
   *
   * @throws {BoxRunError} RUNTIME_ERROR when the box refuses; `cause.code` is the name of errno ("ENOENT")
   */
  fileOperation(
    boxId: string,
    operation: FileOperation,
    options: { signal?: AbortSignal },
  ): Promise<FileEntry[]>;

  /**
   * Watches a file, or a directory with its entries, or with `recursive` everything below it. Resolves once every later change is reported, to changes that are read
   * at their reader's pace; where too many wait, "overflow" stands for them. The iteration ends after "removed" of the path itself. It rejects with the signal's reason,
   * with BOX_NOT_RUNNING when the box stops, or with BOX_NOT_FOUND when it is removed. Called only with the capability "watch".
   *
   * A link at the end of the path is followed, and no other. What appears in a new directory of a recursive watch is reported, even if it is there before anybody could
   * watch. What moves out of the watched directory is "removed", what moves in is "created".
   *
   * @throws {BoxRunError} RUNTIME_ERROR when there is no such path, or the box has no room for the watch; `cause.code` is the name of errno ("ENOENT", "ENOSPC")
   * @throws {BoxRunError} RESOURCE_EXCEEDED when the process that runs the box has too few descriptors for the directories of a volume
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   */
  watchFiles?(
    boxId: string,
    path: Uint8Array,
    options: { recursive: boolean; signal?: AbortSignal },
  ): Promise<AsyncIterable<FileChange>>;

  /** Connections to servers in boxes. Absent: the backend has none, and handles reject with UNSUPPORTED. */
  readonly ports?: BackendPorts;

  /** Rules and logs of the networks of boxes. Absent: the backend has none, and handles reject with UNSUPPORTED. */
  readonly network?: BackendNetwork;

  /** Ends everything that this backend owns. Idempotent. Later calls reject. */
  close(): Promise<void>;
}
