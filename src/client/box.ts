import type { Backend, BoxInfo, BoxUsage, ExecInfo, Terminal, TerminalSpec } from "../backend/backend.js";
import { type CallOptions, callOptions, withSignal } from "../backend/call.js";
import { parseTerminalSpec, requireOptions } from "../backend/validate.js";
import { type Command, type CommandArguments, commandAndOptions } from "../exec/arguments.js";
import type { Source } from "../exec/byte-source.js";
import { type ExecOptions, type ExecStreamOptions, runToEnd, startExecution } from "../exec/exec.js";
import { Execution, type ExecutionWithStdin } from "../exec/execution.js";
import { ExecutionPromise } from "../exec/execution-promise.js";
import type { ExecResult } from "../exec/result.js";
import { type Shell, shellOf } from "../exec/shell.js";
import type { BoxFiles } from "../files/file-types.js";
import { filesOf } from "../files/files.js";
import type { BoxNetwork } from "../network/box-network.js";
import { untilAborted } from "../util/abort.js";
import { asyncDispose } from "../util/dispose.js";
import { inspect } from "../util/inspect.js";
import type { AttachOptions, Download, DownloadOptions, StartOptions, UploadOptions } from "./box-options.js";
import { BoxServers } from "./box-servers.js";

/**
 * A handle of one box. Handles are cheap, and any number of them can stand for the same box.
 *
 * A method rejects with BOX_NOT_FOUND when the box has been removed. Over a server it can also reject with the errors that {@link BoxRunClient} lists.
 *
 * @example
 * await using box = await client.create("tiny");
 * const { stdout } = await box.exec(["uname", "-m"]);   // "i686\n"
 */
export class BoxHandle extends BoxServers {
  /** Files of the box: read, write, list, stat, and so on. */
  readonly files: BoxFiles;
  private current: BoxInfo;

  /** Creates a handle. Use `create`, `getBox` or `fromJSON` of {@link BoxRunClient} instead. */
  constructor(
    private readonly backend: Backend,
    info: BoxInfo,
    private readonly owned: boolean,
  ) {
    super(backend);
    this.current = info;
    this.files = filesOf(this, backend);
  }

  /** "box_" and 12 characters. */
  get id(): string {
    return this.current.id;
  }

  /** Name of the box, null if it has none. */
  get name(): string | null {
    return this.current.name;
  }

  /** State of the box when it was last asked for. {@link BoxHandle.refresh} updates it. */
  get info(): BoxInfo {
    return this.current;
  }

  /**
   * Runs a command and waits for its end. An array is argv, run without a shell, and so is a program with an array of its arguments; a string alone is run by
   * `/bin/sh -c`. An exit code other than 0 is returned, unless `check: true` is set. Rejects with the signal's reason when `signal` aborts, and with the error of the `stdin` source when that fails; the command is
   * canceled then.
   *
   * @throws {ExitError} TIMEOUT when it ran longer than `timeoutMs`; the partial result is in `result`, as for the next two
   * @throws {ExitError} CANCELED when somebody else canceled it, or stopped its box
   * @throws {ExitError} COMMAND_FAILED when its exit code is not 0 and `check` is true
   * @throws {BoxRunError} VALIDATION_ERROR when an argument is wrong or the workdir does not exist
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs the box
   * @throws {BoxRunError} RUNTIME_ERROR when the machine of the box ends meanwhile
   * @throws {BoxRunError} STREAM_INTERRUPTED when the connection to the server is lost for good, or the server cannot say how the command ended
   *
   * @example
   * const { exitCode, stdout, stderr } = await box.exec("ls -l /etc | wc -l", { timeoutMs: 10_000 });
   * const listing = await box.exec("ls", ["-l", "a file"], { cwd: "/etc" });
   */
  exec(file: string, args: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  // Last, since compilers explain what is wrong with a call by the last form.
  exec(cmd: Command, options?: ExecOptions): Promise<ExecResult>;
  async exec(first: Command, ...rest: CommandArguments<ExecOptions>): Promise<ExecResult> {
    const [cmd, options] = commandAndOptions(first, rest);
    return untilAborted(runToEnd(this.backend, this.id, cmd, options), options.signal);
  }

  /**
   * Runs a template as a command of `/bin/sh`, each value quoted as one word, and an array as several: nothing in a value is taken for shell syntax. The text of
   * the template is used as it is written, so `\\n` stays two characters. Values do not go into quotes; one that stands in quotes, a comment or a here-document
   * is refused. In `$((...))`, values are integers. A program may still take a value that begins with "-" for an option.
   *
   * `` sh({ check: true }) `` returns a tag with options of {@link BoxHandle.exec}, and rejections are as there.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when a value is undefined, null or an object, has a null character in it, or stands where no word can be
   *
   * @example
   * const word = "it's; rm -rf $HOME", paths = ["a file", "another"];
   * const { stdout } = await box.sh`grep -e ${word} ${paths} | sort`;
   *
   * @example
   * const $ = box.sh({ cwd: "/src", check: true });
   * await $`make -j${2}`;
   */
  get sh(): Shell {
    return shellOf((cmd, options) => this.exec(cmd, options));
  }

  /**
   * Starts a command, in the same forms as {@link BoxHandle.exec}. Iterate over the result to read the output as it arrives, or await it for an
   * {@link Execution}, which resolves as soon as the command runs: to write to stdin, or to leave the command in the background. Rejects with the signal's
   * reason when `signal` aborts.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when an argument is wrong or the workdir does not exist
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs the box
   * @throws {BoxRunError} UNSUPPORTED when `stdin` is true and the server has no stdin for commands
   *
   * @example
   * for await (const event of box.execStream("make")) console.log(event);
   *
   * @example
   * const execution = await box.execStream("cat", [], { stdin: true });
   * const writer = execution.stdin.getWriter();
   * await writer.write("hello\n");
   * await writer.close();
   * for await (const event of execution) console.log(event);
   */
  execStream(
    file: string,
    args: readonly string[],
    options: StreamWithStdin,
  ): ExecutionPromise<ExecutionWithStdin>;
  execStream(file: string, args: readonly string[], options?: ExecStreamOptions): ExecutionPromise;
  execStream(cmd: Command, options: StreamWithStdin): ExecutionPromise<ExecutionWithStdin>;
  execStream(cmd: Command, options?: ExecStreamOptions): ExecutionPromise;
  execStream(first: Command, ...rest: CommandArguments<ExecStreamOptions>): ExecutionPromise {
    const start = async () => {
      const [cmd, options] = commandAndOptions(first, rest);
      return untilAborted(startExecution(this.backend, this.id, cmd, options), options.signal);
    };
    return new ExecutionPromise((resolve) => resolve(start()));
  }

  /** Does the same as {@link BoxHandle.execStream}. */
  get spawn(): BoxHandle["execStream"] {
    return this.execStream;
  }

  /**
   * Finds an execution of this box by its id, whichever handle started it. The result has no `stdin`, and leaving a loop over it does not cancel the command.
   *
   * @throws {BoxRunError} EXEC_NOT_FOUND when there is none, or it has been forgotten
   */
  async execution(id: string, options: CallOptions = {}): Promise<Execution> {
    requireOptions(options, { signal: true });
    const { signal } = options;
    const info = await withSignal(signal, () => this.backend.getExec(this.id, id, callOptions(signal)));
    return new Execution(this.backend, info, { stdin: false, detached: true });
  }

  /** Lists the executions of this box that are remembered, newest first; those of the same millisecond are sorted by id. A local box remembers 1,000. */
  async executions(options: CallOptions = {}): Promise<ExecInfo[]> {
    requireOptions(options, { signal: true });
    const { signal } = options;
    return withSignal(signal, () => this.backend.listExecs(this.id, callOptions(signal)));
  }

  /**
   * Starts a shell on a terminal of its own, for interactive use. Rejects with the signal's reason when `signal` aborts.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when an option is wrong
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs the box
   * @throws {BoxRunError} UNSUPPORTED when the backend has no terminals
   * @throws {BoxRunError} CONNECTION_FAILED when no WebSocket to the server can be opened
   *
   * @example
   * const terminal = await box.attach({ cols: 120, rows: 40 });
   * const writer = terminal.writable.getWriter();
   * await writer.write("make test; exit\n");
   * console.log(await new Response(terminal.readable).text(), await terminal.exited);
   */
  attach(options: AttachOptions = {}): Promise<Terminal> {
    const { signal, ...spec } = options;
    return withSignal(signal, () => this.startTerminal(spec, signal));
  }

  private async startTerminal(
    spec: Partial<TerminalSpec>,
    signal: AbortSignal | undefined,
  ): Promise<Terminal> {
    return this.backend.attach(this.id, parseTerminalSpec(spec), callOptions(signal));
  }

  /**
   * Writes one file of the box: completely, or not at all. Creates the directories of its path and follows links at its end. A string as `source` is a path on
   * this machine. If that is a directory, what is in it joins what is in the directory `path`, which is created if it does not exist; links, permission bits and
   * times are kept, everything belongs to root, and FIFOs, sockets and devices are left out. When that fails, a part of it stays.
   *
   * An existing file keeps its owner, and its mode unless `mode` is given; its other hard links keep the old contents. Devices, kernel files (as under /proc)
   * and files that are mounts are written in place; if that fails, a part may have been written, and the error says so. Rejects with the signal's reason when
   * `signal` aborts.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when `path` is not absolute or has half a surrogate pair in it, or a local path is neither a regular file nor a
   * directory, or has a `mode` and is a directory
   * @throws {BoxRunError} UNSUPPORTED when `source` is a local path and this is a page
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs the box
   * @throws {BoxRunError} RUNTIME_ERROR when the box refuses: `path` is a directory, a FIFO or a socket
   * @throws {BoxRunError} STORAGE_FULL when the disk of the box is full
   *
   * @example
   * await box.upload(new TextEncoder().encode("print(42)"), "/root/main.py");
   * await box.upload("./data.csv", "/root/data.csv");
   * await box.upload("./project", "/srv/project");
   */
  async upload(source: Source, path: string, options: UploadOptions = {}): Promise<void> {
    const to = { backend: this.backend, id: this.id, files: this.files, path };
    return (await transfers()).upload(to, source, options);
  }

  /**
   * Reads one regular file of the box, or with `localPath` writes it to this machine. With `localPath`, `path` may also be a directory: what is in it joins what
   * is in the local one, which is created if it does not exist. Links, permission bits (without set-user-ID) and times are kept, files belong to the caller, and
   * FIFOs, sockets and devices are left out. Nothing is written outside of the local directory, and no link in it is followed; links of the box are created as
   * they are, wherever they lead. When that fails, the files that are complete stay.
   *
   * If the file grows meanwhile, only as much is read as it had at first; if
   * it is truncated, the download fails.
   *
   * A new local file gets the mode of the one in the box, subject to the umask. An existing one is replaced, completely or not at all, and keeps its mode, and
   * its owner if that is permitted. Links are followed, and the directories of the path are created. Devices and FIFOs are written in place: the download waits
   * up to a minute for a FIFO's reader, and up to a minute each time that it stops reading. Rejects with the signal's reason when `signal` aborts.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when `path` is not absolute or has half a surrogate pair in it, or the local path cannot be written
   * @throws {BoxRunError} UNSUPPORTED when there is a local path and this is a page
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs the box
   * @throws {BoxRunError} RUNTIME_ERROR when there is no such file, or it is neither a regular one nor, with a local path, a directory
   * @throws {BoxRunError} PROTOCOL_ERROR when what a box sends for a directory would lead out of the local one
   * @throws {BoxRunError} STORAGE_FULL when this machine has no room for the local file
   *
   * @example
   * const text = await (await box.download("/etc/os-release")).text();
   * await box.download("/var/log", "./log");   // a directory
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

  /** Network of the box: what it may connect to, and what it has connected to. */
  get network(): BoxNetwork {
    const { backend, id } = this;
    return {
      update: async (network, options = {}) => {
        this.current = await (await networks()).updateNetwork(backend, id, network, options);
      },
      log: async (options = {}) => (await networks()).listConnections(backend, id, options),
    };
  }

  /**
   * Asks for the state of the box, and updates {@link BoxHandle.info}.
   *
   * @throws {BoxRunError} BOX_NOT_FOUND when the box has been removed
   */
  async refresh(options: CallOptions = {}): Promise<BoxInfo> {
    requireOptions(options, { signal: true });
    const { signal } = options;
    this.current = await withSignal(signal, () => this.backend.getBox(this.id, callOptions(signal)));
    return this.current;
  }

  /**
   * Ends all commands in the box, stops it and keeps its files.
   *
   * @throws {BoxRunError} BOX_NOT_RUNNING when it is not running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs it
   * @throws {BoxRunError} RUNTIME_ERROR when the guest did not shut down and was switched off: the box is stopped all the same, and data that its programs had
   * not synced may be lost; or when a folder of the page did not take what the box had written
   * @throws {BoxRunError} STORAGE_FULL when that was for want of room: the box is stopped all the same
   *
   * @example
   * await box.stop();
   * await box.start();   // the files are still there
   */
  async stop(options: CallOptions = {}): Promise<BoxInfo> {
    requireOptions(options, { signal: true });
    this.current = await withSignal(options.signal, () => this.backend.stopBox(this.id));
    return this.current;
  }

  /**
   * Starts a stopped box with the files it had. Rejects with the signal's reason when `signal` aborts.
   *
   * @throws {BoxRunError} BOX_ALREADY_RUNNING when it is running
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs it
   * @throws {BoxRunError} RESOURCE_EXCEEDED when the memory of all running boxes would be too much
   * @throws {BoxRunError} STATE_MISMATCH when its disk or record is gone, damaged or of a newer version
   * @throws {BoxRunError} VALIDATION_ERROR when it was created with secrets, volumes in memory or folders that are not kept, and they are not given again; or when the user has to be asked for a folder again
   */
  async start(options: StartOptions = {}): Promise<BoxInfo> {
    requireOptions(options, { signal: true, onProgress: true, secrets: true, volumes: true });
    const { backend, id } = this;
    if (options.volumes !== undefined) (await import("../backend/volume-sources.js")).requireSources(options);
    const launch =
      options.secrets === undefined
        ? options
        : await (await import("../network/secrets.js")).withSecrets(options, backend);
    this.current = await withSignal(options.signal, () => backend.startBox(id, launch));
    return this.current;
  }

  /**
   * Reports how much storage the box uses on the machine that keeps it.
   *
   * @throws {BoxRunError} UNSUPPORTED when the server does not report it
   */
  async usage(options: CallOptions = {}): Promise<BoxUsage> {
    requireOptions(options, { signal: true });
    const { signal } = options;
    return withSignal(signal, () => this.backend.usage(this.id, callOptions(signal)));
  }

  /**
   * Removes the box and its files.
   *
   * @throws {BoxRunError} BOX_ALREADY_RUNNING when it is running and `force` is not true
   * @throws {BoxRunError} BOX_LOCKED when another page or process runs it
   */
  async remove(options: CallOptions & { force?: boolean } = {}): Promise<void> {
    requireOptions(options, { force: true, signal: true });
    const { force = false, signal } = options;
    return withSignal(signal, () => this.backend.removeBox(this.id, { force }));
  }

  /** Returns what `console.log` shows in Node, Deno and Bun: the box, without the client behind it. */
  [inspect](): object {
    return { BoxHandle: this.current };
  }

  /** Returns the data that JSON.stringify writes. `client.fromJSON` turns it into a handle again. */
  toJSON(): { id: string } {
    return { id: this.id };
  }

  /** Removes the box if this handle created it, running or not; else does nothing. For `await using`. */
  async [asyncDispose](): Promise<void> {
    if (!this.owned) return;
    try {
      await this.remove({ force: true });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "BOX_NOT_FOUND") throw error;
    }
  }
}

/** Loads the code for transfers, which programs that only run commands do not need. */
const transfers = () => import("./box-transfers.js");

/** Loads the code for rules and logs. */
const networks = () => import("../network/box-network.js");

/** Options of an execution with a `stdin`. */
type StreamWithStdin = ExecStreamOptions & { stdin: true };
