/**
 * The one interface between the handles that callers hold (`BoxRunClient`, `BoxHandle`, `Execution`) and whatever runs
 * boxes. It follows the BoxRun API call by call, so that an adapter to or from HTTP has nothing to invent.
 *
 * A backend rejects with `BoxRunError` only. Bytes are the base type; text is made above this interface.
 */

/** Where a box is in its life. A newer server may send others; they are passed on as they come. */
export type BoxStatus = "creating" | "running" | "stopped" | "error" | (string & {});

/** A directory of the host made visible in the box. */
export interface VolumeSpec {
  hostPath: string;
  guestPath: string;
  /** Default false. */
  readonly?: boolean;
}

/** What a local box really is, beside what was asked for. */
export interface LocalBoxInfo {
  /** What runs, in words: "BusyBox 1.35 (musl), i386". */
  image: string;
  /** Processors of the emulated machine: always 1. */
  cpus: 1;
  /** False when the box's disk ends with the process or page. */
  persistent: boolean;
  /** How the machine came up: from a snapshot, or by booting the kernel. */
  boot: "snapshot" | "cold";
  /** Why it was not a snapshot, or anything else the owner should know. Empty when all is as it should be. */
  warnings: string[];
}

/** What a box is made of. All defaults are filled in by the client. */
export interface BoxSpec {
  /** The image as it was asked for. */
  image: string;
  name: string | null;
  /** Processors as asked for. */
  cpu: number;
  /** Memory of the machine, in MiB. */
  memoryMb: number;
  /** Size of the box's own disk, in GiB. */
  diskSizeGb: number;
  network: boolean;
  /** Where commands start that name no `workdir`. */
  workdir: string;
  env: Record<string, string> | null;
  volumes: VolumeSpec[] | null;
}

/** A box as it stood when it was asked for. */
export interface BoxInfo extends BoxSpec {
  /** "box_" and 12 characters. */
  id: string;
  status: BoxStatus;
  /** Set in status "error": the code of what ended the machine. */
  errorCode: string | null;
  errorMessage: string | null;
  createdAt: Date;
  startedAt: Date | null;
  stoppedAt: Date | null;
  /** Present on boxes of the local backend. */
  local?: LocalBoxInfo;
}

/** Where an execution is in its life. Any other value is final, and kept as it came. */
export type ExecStatus = "running" | "succeeded" | "failed" | "canceled" | "timeout" | (string & {});

/** An execution as it stood when it was asked for. */
export interface ExecInfo {
  /** "exec_" and 12 characters. */
  id: string;
  boxId: string;
  status: ExecStatus;
  cmd: string[];
  env: Record<string, string> | null;
  workdir: string | null;
  timeoutMs: number | null;
  /** Null while it runs, and for ever when it was canceled or timed out. 128 + signal for a signal. */
  exitCode: number | null;
  errorMessage: string | null;
  createdAt: Date;
  finishedAt: Date | null;
  /** True when output was dropped because nobody read it (see the execution log's limit). */
  truncated?: boolean;
}

/** A command to run. */
export interface ExecSpec {
  /** argv: no shell is involved. */
  cmd: string[];
  env: Record<string, string> | null;
  /** Absolute; null for the box's own. */
  workdir: string | null;
  /** Null: no limit. */
  timeoutMs: number | null;
  /** True: stdin is a pipe, fed by `writeStdin`. False: it is empty. */
  stdin: boolean;
}

/** Which of a command's outputs. */
export type OutputStream = "stdout" | "stderr";

/** One entry of an execution's log. `seq` grows; it has gaps only where output was dropped. */
export type BackendEvent =
  | { type: "log"; stream: OutputStream; bytes: Uint8Array; seq: number }
  | { type: "exit"; exitCode: number | null; seq: number };

/** A step of the creation of a box. */
export interface CreateProgress {
  /** "download": assets are on their way; "boot": the machine starts; "setup": the guest makes the box; "ready": done. */
  phase: "download" | "boot" | "setup" | "ready";
}

/** Bytes that moved so far, and in all when known. */
export interface TransferProgress {
  loadedBytes: number;
  totalBytes: number | null;
}

/** An image that boxes can be made of. */
export interface ImageInfo {
  name: string;
  aliases: string[];
  /** What it really is, in words. */
  description: string;
  /** Compressed bytes to fetch before a first box can run. */
  downloadBytes: number;
}

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
    "bytes" | "cursor" | "stdin" | "signal" | "network" | "volumes" | "attach" | "persistence",
    true | string
  >
>;

/** A file on its way out of a box. Ending the stream early ends the transfer. */
export interface DownloadResult {
  /** Size when the transfer began, in bytes; null when unknown. */
  size: number | null;
  stream: ReadableStream<Uint8Array>;
}

/** See the top of this file. Ids are those of {@link BoxInfo} and {@link ExecInfo}. */
export interface Backend {
  readonly capabilities: Capabilities;

  info(): Promise<BackendInfo>;
  images(): Promise<ImageInfo[]>;

  /** Rejects with the caller's reason when `signal` aborts; no box is left behind then. */
  createBox(
    spec: BoxSpec,
    options: { signal?: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<BoxInfo>;
  /** BOX_NOT_FOUND. */
  getBox(idOrName: string): Promise<BoxInfo>;
  listBoxes(filter: { status?: string }): Promise<BoxInfo[]>;
  /** BOX_ALREADY_RUNNING when it runs and `force` is false. */
  removeBox(id: string, options: { force: boolean }): Promise<void>;

  /** Resolves once the command has started. VALIDATION_ERROR for a workdir that is not there. */
  startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo>;
  /** EXEC_NOT_FOUND. */
  getExec(boxId: string, execId: string): Promise<ExecInfo>;
  listExecs(boxId: string): Promise<ExecInfo[]>;
  /** Every event after `after` (0: from the start), then live, up to and including "exit". */
  execEvents(
    boxId: string,
    execId: string,
    options: { after: number; signal?: AbortSignal },
  ): AsyncIterable<BackendEvent>;
  /** Resolves when the command has ended, with its final state. Reads no output. */
  waitExec(boxId: string, execId: string, options: { signal?: AbortSignal }): Promise<ExecInfo>;
  /** Ends the whole process group. EXEC_ALREADY_FINISHED. Resolves when it is gone. */
  cancelExec(boxId: string, execId: string): Promise<ExecInfo>;
  /** Sends a signal ("SIGINT") to the process group. EXEC_ALREADY_FINISHED. */
  signalExec(boxId: string, execId: string, signal: string): Promise<void>;
  /** Resolves when the bytes are on their way and there is room for more. Bytes for a command that has ended are dropped. */
  writeStdin(boxId: string, execId: string, chunk: Uint8Array): Promise<void>;
  closeStdin(boxId: string, execId: string): Promise<void>;

  /** Puts one file: whole under `path`, or not at all. Directories of the path are made. */
  upload(
    boxId: string,
    path: string,
    body: ReadableStream<Uint8Array>,
    options: { mode: number; signal?: AbortSignal },
  ): Promise<void>;
  /** RUNTIME_ERROR when there is no such file, or it is a directory. */
  download(boxId: string, path: string, options: { signal?: AbortSignal }): Promise<DownloadResult>;

  /** Ends everything this backend owns. Idempotent. Every other call rejects afterwards. */
  close(): Promise<void>;
}
