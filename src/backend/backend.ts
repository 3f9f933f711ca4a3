/**
 * The one interface between the handles that callers hold (`BoxRunClient`, `BoxHandle`, `Execution`) and whatever runs
 * boxes. It follows the BoxRun API call by call, so that an adapter to or from HTTP has nothing to invent.
 *
 * A backend rejects with `BoxRunError` only. Bytes are the base type; text is made above this interface.
 */

import type {
  BackendEvent,
  BoxInfo,
  BoxSpec,
  BoxUsage,
  CreateProgress,
  ExecInfo,
  ExecSpec,
  FileEntry,
  FileOperation,
  ImageInfo,
  TerminalSpec,
  TransferProgress,
} from "../contract/types.js";

export type * from "../contract/types.js";

/** A backend described. */
export interface BackendInfo {
  backend: "local" | "remote" | (string & {});
  /** In words: "v86 0.5.462 in Node 20.20.2". */
  description: string;
  maxCpu: number;
  /** In MiB, over all boxes. */
  maxMemoryMb: number;
  /** What works; a string is the reason why not. */
  capabilities: Capabilities;
}

/** Things that not every backend can do: true, or the reason why not. */
export type Capabilities = Readonly<
  Record<
    | "bytes"
    | "cursor"
    | "stdin"
    | "signal"
    | "network"
    | "volumes"
    | "attach"
    | "persistence"
    | "usage"
    | "pull"
    | "files",
    true | string
  >
> & {
  /** Support for {@link ExecSpec.stderr}. Absent where a backend does not know of it. */
  readonly stderr?: true | string;
};

/** A file on its way out of a box. Ending the stream early ends the transfer. */
export interface DownloadResult {
  /** Size when the transfer began, in bytes; null when unknown. */
  size: number | null;
  /** Permission bits. Absent: the backend does not tell. */
  mode?: number;
  stream: ReadableStream<Uint8Array>;
}

/** Options of a file on its way into a box. Without `mode` a file that is there keeps its own. */
export interface UploadSpec {
  /** Permission bits, whether or not there is a file already. */
  mode?: number;
  /** Permission bits of a new file, where `mode` is not given. @default 0o644 */
  newMode?: number;
  signal?: AbortSignal;
}

/**
 * A shell on a terminal of its own, in a box. What it prints waits for its reader; what has not been read when it ends can still be read.
 *
 * @example
 * const terminal = await box.attach({ cols: 120, rows: 40 });
 * terminal.readable.pipeTo(new WritableStream({ write: (bytes) => xterm.write(bytes) }));
 * const writer = terminal.writable.getWriter();
 * xterm.onData((text) => writer.write(text));
 */
export interface Terminal {
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes bytes or text, with back-pressure. Closing it closes nothing else. */
  readonly writable: WritableStream<Uint8Array | string>;
  /**
   * Settles in any case: with the exit code of the shell, null where it was closed or killed from this side; or rejects with a `BoxRunError` (STREAM_INTERRUPTED, BOX_NOT_RUNNING, ...) or the
   * signal's reason. A rejection that nobody waits for is no unhandled one.
   */
  readonly exited: Promise<number | null>;
  /** Columns and rows, 1 to 1000. */
  resize(cols: number, rows: number): void;
  /** Ends the shell. Idempotent. */
  close(): Promise<void>;
}

/** See the top of this file. Ids are those of {@link BoxInfo} and {@link ExecInfo}. */
export interface Backend {
  readonly capabilities: Capabilities;
  /** True: it ends commands that are over their time by itself, and its time is not that of a clock on the wall. Absent: handles look at the clock, too. */
  readonly keepsTimeLimits?: boolean;

  info(): Promise<BackendInfo>;
  images(): Promise<ImageInfo[]>;
  /** Fetches an image whole, so that its boxes need no network. IMAGE_PULL_FAILED, UNSUPPORTED without the capability "pull". */
  pullImage(
    image: string,
    options: { signal?: AbortSignal; onProgress?: (progress: TransferProgress) => void },
  ): Promise<void>;

  /** Rejects with the caller's reason when `signal` aborts; no box is left behind then. */
  createBox(
    spec: BoxSpec,
    options: { signal?: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<BoxInfo>;
  /** BOX_NOT_FOUND. */
  getBox(idOrName: string): Promise<BoxInfo>;
  /** Newest first, those of the same millisecond by id. The status "all" is no filter. */
  listBoxes(filter: { status?: string }): Promise<BoxInfo[]>;
  /**
   * Calls `onChange` whenever any box may have changed, whoever changed it; the list says what. Resolves to what ends it. Absent: who wants to know asks for the list
   * now and then.
   */
  watchBoxes?(onChange: () => void): Promise<() => void>;
  /** Ends what runs in it and keeps its disk. BOX_NOT_RUNNING. */
  stopBox(id: string): Promise<BoxInfo>;
  /** BOX_ALREADY_RUNNING. Rejects with the caller's reason when `signal` aborts; the box is stopped then. */
  startBox(
    id: string,
    options: { signal?: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<BoxInfo>;
  /** BOX_ALREADY_RUNNING when it runs and `force` is false. */
  removeBox(id: string, options: { force: boolean }): Promise<void>;
  /** Removes boxes that have been at rest, stopped or in status "error", for longer than `olderThan` seconds. Resolves to how many. */
  gc(options: { olderThan: number }): Promise<number>;
  /** UNSUPPORTED without the capability "usage". */
  usage(id: string): Promise<BoxUsage>;

  /** Resolves once the command has started. VALIDATION_ERROR for a workdir that is not there. */
  startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo>;
  /** EXEC_NOT_FOUND. */
  getExec(boxId: string, execId: string): Promise<ExecInfo>;
  /** Newest first, those of the same millisecond by id. */
  listExecs(boxId: string): Promise<ExecInfo[]>;
  /** Every event after `after` (0: from the start), then live, up to and including "exit". */
  execEvents(
    boxId: string,
    execId: string,
    options: { after: number; signal?: AbortSignal },
  ): AsyncIterable<BackendEvent>;
  /** Resolves when the command has ended, with its final state. Reads no output. */
  waitExec(boxId: string, execId: string, options: { signal?: AbortSignal }): Promise<ExecInfo>;
  /** Ends the process group and the session. EXEC_ALREADY_FINISHED. Resolves when they are gone. */
  cancelExec(boxId: string, execId: string): Promise<ExecInfo>;
  /** Sends a signal ("SIGINT") to the process group, "SIGKILL" to the session. EXEC_ALREADY_FINISHED. */
  signalExec(boxId: string, execId: string, signal: string): Promise<void>;
  /** Resolves when the bytes are on their way and there is room for more. Bytes for a command that has ended are dropped. */
  writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void>;
  closeStdin(boxId: string, execId: string): Promise<void>;

  /** Starts a shell on a terminal. UNSUPPORTED without the capability "attach". When `signal` aborts, it ends. */
  attach(boxId: string, spec: TerminalSpec, options: { signal?: AbortSignal }): Promise<Terminal>;

  /**
   * Puts one file. Directories of the path are made, links at its end are followed. A regular file that is there is replaced, whole or not at all, and keeps its owner; a device, a file of the kernel (as under /proc)
   * and a file that is a mount are written into. RUNTIME_ERROR for a directory, a FIFO and a socket.
   */
  upload(boxId: string, path: string, body: ReadableStream<Uint8Array>, options: UploadSpec): Promise<void>;
  /** RUNTIME_ERROR when there is no such file, or it is not a regular one. A file that grows meanwhile is given as far as it went when the transfer began. */
  download(boxId: string, path: string, options: { signal?: AbortSignal }): Promise<DownloadResult>;

  /**
   * Does one thing with a box's files, without a command in it. Resolves to the entry that was asked for, to all of a list, or to none. RUNTIME_ERROR for what the box refuses, whose `cause.code` is the name of
   * errno. Called only with the capability "files": without it, commands in the box do the same.
   */
  fileOperation(
    boxId: string,
    operation: FileOperation,
    options: { signal?: AbortSignal },
  ): Promise<FileEntry[]>;

  /** Ends everything this backend owns. Idempotent. Every other call rejects afterwards. */
  close(): Promise<void>;
}
