import type {
  Backend,
  BoxInfo,
  BoxUsage,
  CreateProgress,
  ExecInfo,
  Terminal,
  TerminalSpec,
} from "../backend/backend.js";
import { parseTerminalSpec, requireOptions } from "../backend/validate.js";
import type { Source } from "../exec/byte-source.js";
import {
  type Command,
  type ExecOptions,
  type ExecStreamOptions,
  runToEnd,
  startExecution,
} from "../exec/exec.js";
import { type ExecResult, Execution, type ExecutionWithStdin } from "../exec/execution.js";
import type { BoxFiles } from "../files/file-types.js";
import { filesOf } from "../files/files.js";
import { untilAborted } from "../util/abort.js";
import { asyncDispose } from "../util/dispose.js";
import type { Download, DownloadOptions, UploadOptions } from "./transfer-types.js";

export type { Download, DownloadOptions, UploadOptions } from "./transfer-types.js";

/** Options of `start`. */
export interface StartOptions {
  /** Aborting it rejects at once with the signal's reason; the box is stopped then. */
  signal?: AbortSignal;
  onProgress?: (progress: CreateProgress) => void;
}

/** Options of `attach`. Default: the image's shell, 80 columns, 24 rows, "xterm-256color". */
export interface AttachOptions extends Partial<TerminalSpec> {
  /** Aborting it ends the shell. */
  signal?: AbortSignal;
}

/**
 * One box. Handles are cheap: any number may stand for the same box.
 *
 * @example
 * await using box = await client.create("tiny");
 * const { stdout } = await box.exec(["uname", "-m"]);   // "i686\n"
 */
export class BoxHandle {
  /** Its files: read, write, list, stat, and so on. */
  readonly files: BoxFiles;
  private current: BoxInfo;

  constructor(
    private readonly backend: Backend,
    info: BoxInfo,
    private readonly owned: boolean,
  ) {
    this.current = info;
    this.files = filesOf(this, backend);
  }

  /** "box_" and 12 characters. */
  get id(): string {
    return this.current.id;
  }

  get name(): string | null {
    return this.current.name;
  }

  /** The box as it stood when last asked for; `refresh` asks again. */
  get info(): BoxInfo {
    return this.current;
  }

  /**
   * Runs a command and waits for its end. An array is argv, run as it is; a string is run by `/bin/sh -c`. An exit code other than 0 is returned,
   * and thrown only under `check: true`.
   *
   * Throws {@link ExitError} (COMMAND_FAILED, TIMEOUT, CANCELED) with the partial result inside, the signal's reason when it aborts,
   * VALIDATION_ERROR for a wrong argument or a missing workdir, BOX_NOT_RUNNING, RUNTIME_ERROR when the machine ends.
   *
   * @example
   * const { exitCode, stdout, stderr } = await box.exec("ls -l /etc | wc -l", { timeoutMs: 10_000 });
   */
  exec(cmd: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return untilAborted(runToEnd(this.backend, this.id, cmd, options), options.signal);
  }

  /**
   * Starts a command and resolves as soon as it runs, to read its output as it comes, write to its stdin, or leave it in the background.
   * Throws what `exec` throws, before the command runs.
   *
   * @example
   * const execution = await box.execStream(["cat"], { stdin: true });
   * const writer = execution.stdin.getWriter();
   * await writer.write("hello\n");
   * await writer.close();
   * for await (const event of execution) console.log(event);
   */
  execStream(cmd: Command, options: ExecStreamOptions & { stdin: true }): Promise<ExecutionWithStdin>;
  execStream(cmd: Command, options?: ExecStreamOptions): Promise<Execution>;
  execStream(cmd: Command, options: ExecStreamOptions = {}): Promise<Execution> {
    return untilAborted(startExecution(this.backend, this.id, cmd, options), options.signal);
  }

  /** An execution of this box by its id, from any handle. Throws EXEC_NOT_FOUND. */
  async execution(id: string): Promise<Execution> {
    const info = await this.backend.getExec(this.id, id);
    return new Execution(this.backend, info, { stdin: false, detached: true });
  }

  /** All executions of this box that are remembered, newest first; those of the same millisecond by id. */
  executions(): Promise<ExecInfo[]> {
    return this.backend.listExecs(this.id);
  }

  /**
   * Starts a shell on a terminal of its own, for people: bytes both ways.
   *
   * Throws VALIDATION_ERROR for a wrong option, BOX_NOT_RUNNING, UNSUPPORTED where there are no terminals, CONNECTION_FAILED, the signal's reason.
   *
   * @example
   * const terminal = await box.attach({ cols: 120, rows: 40 });
   * const writer = terminal.writable.getWriter();
   * await writer.write("make test; exit\n");
   * console.log(await new Response(terminal.readable).text(), await terminal.exited);
   */
  attach(options: AttachOptions = {}): Promise<Terminal> {
    const { signal, ...spec } = options;
    return untilAborted(this.startTerminal(spec, signal), signal);
  }

  private async startTerminal(
    spec: Partial<TerminalSpec>,
    signal: AbortSignal | undefined,
  ): Promise<Terminal> {
    const checked = parseTerminalSpec(spec);
    signal?.throwIfAborted();
    return this.backend.attach(this.id, checked, signal ? { signal } : {});
  }

  /**
   * Puts one file into the box: whole under `path`, or not at all. Directories of the path are made, links at its end followed. A string is a path on this machine.
   *
   * A file that is there keeps its owner, and its mode unless `mode` says otherwise; its other hard links keep the old contents. Devices, files of the kernel (as under /proc) and files that are mounts are written
   * into: where that fails, a part may have been written, and the error says so.
   *
   * Throws VALIDATION_ERROR for a path that is not absolute or has half a surrogate pair in it, and for a local path that is no regular file; UNSUPPORTED for a local path in a page; RUNTIME_ERROR when the guest
   * refuses (a directory, a FIFO, a socket); STORAGE_FULL; the signal's reason.
   *
   * @example
   * await box.upload(new TextEncoder().encode("print(42)"), "/root/main.py");
   * await box.upload("./data.csv", "/root/data.csv");
   */
  async upload(source: Source, path: string, options: UploadOptions = {}): Promise<void> {
    return (await transfers()).uploadFile(this.backend, this.id, source, path, options);
  }

  /**
   * Gets one regular file out of the box, or with `localPath` writes it to this machine. One that grows meanwhile is given as far as it went at first; one that is made shorter is an error.
   *
   * On this machine a new file has the mode of the one in the box, as far as the umask lets it. A file that is there is replaced, whole or not at all, and keeps its mode, and its owner as far as that is allowed; links
   * are followed, and directories of the path made. Devices and FIFOs are written into: a FIFO waits up to a minute for its reader, and as long again whenever that one does not read.
   *
   * Throws RUNTIME_ERROR when there is no such file or it is not a regular one; VALIDATION_ERROR for a path that is not absolute or has half a surrogate pair in it, and for a local path that cannot be written; STORAGE_FULL where there is no room on this machine;
   * UNSUPPORTED for a local path in a page; the signal's reason.
   *
   * @example
   * const text = await (await box.download("/etc/os-release")).text();
   */
  download(path: string, options?: DownloadOptions): Promise<Download>;
  download(path: string, localPath: string, options?: DownloadOptions): Promise<void>;
  async download(
    path: string,
    target?: string | DownloadOptions,
    options: DownloadOptions = typeof target === "object" ? target : {},
  ): Promise<unknown> {
    const from = { backend: this.backend, id: this.id, files: this.files, path };
    const { downloadFile, saveFile } = await transfers();
    return typeof target === "string" ? saveFile(from, target, options) : downloadFile(from, options);
  }

  /** Asks for the box's state again. Throws BOX_NOT_FOUND once it is removed. */
  async refresh(): Promise<BoxInfo> {
    this.current = await this.backend.getBox(this.id);
    return this.current;
  }

  /**
   * Ends what runs in the box and keeps its files. Throws BOX_NOT_RUNNING, BOX_LOCKED when another page or process runs it, RUNTIME_ERROR when its guest did not shut
   * down and it was switched off: it is stopped then, too, and what its programs had not synced may be lost.
   *
   * @example
   * await box.stop();
   * await box.start();   // the files are still there
   */
  async stop(): Promise<BoxInfo> {
    this.current = await this.backend.stopBox(this.id);
    return this.current;
  }

  /**
   * Starts a stopped box again, with the files it had. Throws BOX_ALREADY_RUNNING, BOX_LOCKED when another page or process runs it,
   * STATE_MISMATCH when its disk is gone or of a newer version, the signal's reason.
   */
  async start(options: StartOptions = {}): Promise<BoxInfo> {
    requireOptions(options, { signal: true, onProgress: true });
    options.signal?.throwIfAborted();
    this.current = await untilAborted(this.backend.startBox(this.id, options), options.signal);
    return this.current;
  }

  /** What the box takes of the machine that keeps it. Throws UNSUPPORTED over a server that does not tell. */
  usage(): Promise<BoxUsage> {
    return this.backend.usage(this.id);
  }

  /** Removes the box and everything in it. Throws BOX_ALREADY_RUNNING when it runs, unless `force` is true. */
  async remove(options: { force?: boolean } = {}): Promise<void> {
    requireOptions(options, { force: true });
    return this.backend.removeBox(this.id, { force: options.force ?? false });
  }

  /** For JSON.stringify: what `client.fromJSON` needs to find it again. */
  toJSON(): { id: string } {
    return { id: this.id };
  }

  /** Removes the box if this handle created it; else lets go of it and leaves it as it is. */
  async [asyncDispose](): Promise<void> {
    if (!this.owned) return;
    try {
      await this.remove({ force: true });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "BOX_NOT_FOUND") throw error;
    }
  }
}

/** Loads what programs that only run commands do not need. */
const transfers = () => import("./box-transfers.js");
