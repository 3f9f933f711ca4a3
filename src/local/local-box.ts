import type {
  BackendEvent,
  BoxInfo,
  BoxSpec,
  CreateProgress,
  DownloadResult,
  ExecInfo,
  ExecSpec,
} from "../backend.js";
import { BoxRunError, invalid } from "../errors.js";
import { newId } from "../util/ids.js";
import { fileError } from "./errno.js";
import { Guest } from "./guest/guest.js";
import { getFile, putFile, TransferFailed } from "./guest/guest-files.js";
import type { Host } from "./host.js";
import { LocalExecution } from "./local-execution.js";
import type { MachineConfig } from "./machine/messages.js";
import { MachineHandle } from "./machine-handle.js";

/** What every command starts from, as the BoxRun API documents it; the box's and the command's own come on top. */
const BASE_ENV = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  USER: "root",
  LANG: "C.UTF-8",
};
/** Memory that the guest's kernel and agent keep for themselves, so that a command which fills the box meets its limit first. */
const RESERVED_BYTES = 24 * 2 ** 20;
/** And per byte of memory, for the kernel's own table of pages. */
const RESERVED_SHARE = 0.02;
/** Processes and threads in a box: enough for any build, few enough that a fork bomb stays a nuisance. */
const PROCESS_LIMIT = 1024;
const ENTROPY_BYTES = 64;
/** Executions of a box that are remembered after their end, oldest forgotten first. */
const HISTORY_LIMIT = 1000;
/** And their logs together: several times what one may keep. */
const HISTORY_BYTES = 64 * 2 ** 20;

/** One box of the local backend: its machine, its guest and its executions. */
export class LocalBox {
  private readonly machine: MachineHandle;
  private readonly guest: Guest;
  private readonly executions = new Map<string, LocalExecution>();
  private holders = 0;
  private onStarting: () => void = () => {};

  constructor(
    private readonly state: BoxInfo,
    private readonly spec: BoxSpec,
    private readonly logLimitBytes: number,
    host: Host,
  ) {
    this.guest = new Guest((bytes) => this.machine.send(bytes));
    this.machine = new MachineHandle(host, {
      onOutput: (bytes) => this.guest.receive(bytes),
      onStarting: () => this.onStarting(),
      onEnded: (error) => this.fail(error),
    });
  }

  get info(): BoxInfo {
    return structuredClone(this.state);
  }

  /** Brings the machine up and makes the box in it. */
  async boot(
    config: MachineConfig,
    emulator: Promise<WebAssembly.Module>,
    onProgress: (progress: CreateProgress) => void,
  ): Promise<void> {
    this.onStarting = () => onProgress({ phase: "boot" });
    try {
      const { boot, warnings } = await this.machine.start(config, emulator);
      if (boot === "cold") await this.guest.awaitHello();
      onProgress({ phase: "setup" });
      const memoryBytes = this.spec.memoryMb * 2 ** 20;
      await this.guest.setup({
        hostname: this.spec.name ?? this.state.id.replace("_", "-"),
        entropy: crypto.getRandomValues(new Uint8Array(ENTROPY_BYTES)),
        diskBytes: this.spec.diskSizeGb * 2 ** 30,
        memoryLimitBytes: Math.floor(memoryBytes * (1 - RESERVED_SHARE)) - RESERVED_BYTES,
        processLimit: PROCESS_LIMIT,
        workdir: this.spec.workdir,
      });
      this.state.local = { ...this.state.local!, boot, warnings };
      this.state.status = "running";
      this.state.startedAt = new Date();
      onProgress({ phase: "ready" });
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Keeps the process alive while `work` is under way. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.holders++ === 0) this.machine.hold(true);
    try {
      return await work();
    } finally {
      if (--this.holders === 0) this.machine.hold(false);
    }
  }

  startExec(spec: ExecSpec): Promise<ExecInfo> {
    this.requireRunning();
    if (spec.workdir !== null && !spec.workdir.startsWith("/")) {
      throw invalid(`workdir must be an absolute path, and ${JSON.stringify(spec.workdir)} is not`);
    }
    const execution = new LocalExecution(
      {
        id: newId("exec"),
        boxId: this.state.id,
        status: "running",
        cmd: [...spec.cmd],
        env: spec.env,
        workdir: spec.workdir ?? this.spec.workdir,
        timeoutMs: spec.timeoutMs,
        exitCode: null,
        errorMessage: null,
        createdAt: new Date(),
        finishedAt: null,
      },
      this.guest,
      {
        ...spec,
        workdir: spec.workdir ?? this.spec.workdir,
        env: { ...BASE_ENV, ...this.spec.env, ...spec.env },
      },
      this.logLimitBytes,
      () =>
        this.machine.end(
          new BoxRunError(
            "RUNTIME_ERROR",
            "the guest does not start a command, or does not end a killed command: its machine was stopped",
          ),
        ),
    );
    return this.hold(async () => {
      await execution.started();
      const { info } = execution;
      this.executions.set(info.id, execution);
      this.forgetOldest();
      return info;
    });
  }

  execution(execId: string): LocalExecution {
    const execution = this.executions.get(execId);
    if (execution) return execution;
    throw new BoxRunError(
      "EXEC_NOT_FOUND",
      `box ${this.state.id} has no execution ${JSON.stringify(execId)}`,
    );
  }

  listExecs(): ExecInfo[] {
    return [...this.executions.values()].map((execution) => execution.info);
  }

  async *events(
    execId: string,
    after: number,
    signal?: AbortSignal,
  ): AsyncGenerator<BackendEvent, void, undefined> {
    const events = this.execution(execId).events(after, signal)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.hold(() => events.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await events.return?.();
    }
  }

  async upload(
    path: string,
    body: ReadableStream<Uint8Array>,
    mode: number,
    signal?: AbortSignal,
  ): Promise<void> {
    this.requireRunning();
    requireFilePath(path);
    try {
      await this.hold(() => putFile(this.guest, { path, mode, body, ...(signal && { signal }) }));
    } catch (error) {
      throw error instanceof TransferFailed ? fileError("upload to", path, error.failure) : error;
    }
  }

  async download(path: string, signal?: AbortSignal): Promise<DownloadResult> {
    this.requireRunning();
    requireFilePath(path);
    const wrap = (error: unknown) =>
      error instanceof TransferFailed ? fileError("download of", path, error.failure) : error;
    const file = await this.hold(() => getFile(this.guest, path, signal)).catch((error) =>
      Promise.reject(wrap(error)),
    );
    const reader = file.stream.getReader();
    if (signal?.aborted) {
      await reader.cancel(signal.reason);
      throw signal.reason;
    }
    const onAbort = () => void reader.cancel(signal?.reason).catch(() => {});
    signal?.addEventListener("abort", onAbort, { once: true });
    const finish = () => signal?.removeEventListener("abort", onAbort);
    const stream = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const { done, value } = await this.hold(() => reader.read());
            signal?.throwIfAborted();
            if (!done) return controller.enqueue(value);
            finish();
            controller.close();
          } catch (error) {
            finish();
            controller.error(wrap(error));
          }
        },
        cancel: (reason) => {
          finish();
          return reader.cancel(reason);
        },
      },
      { highWaterMark: 0 },
    );
    // Files under /proc and the like have no size before they are read.
    return { size: file.size > 0 ? file.size : null, stream };
  }

  /** Ends the machine, running or not. What is pending rejects. Idempotent. */
  dispose(): void {
    this.machine.kill();
    this.guest.lose(new BoxRunError("BOX_NOT_FOUND", `box ${this.state.id} was removed`));
  }

  private fail(error: BoxRunError): void {
    Object.assign(this.state, {
      status: "error",
      errorCode: error.code,
      errorMessage: error.message,
      stoppedAt: new Date(),
    });
    this.guest.lose(error);
  }

  private requireRunning(): void {
    if (this.state.status === "running") return;
    const why = this.state.errorMessage ? `: ${this.state.errorMessage}` : "";
    throw new BoxRunError("BOX_NOT_RUNNING", `box ${this.state.id} is in status ${this.state.status}${why}`);
  }

  private forgetOldest(): void {
    let bytes = 0;
    for (const execution of this.executions.values()) bytes += execution.logBytes;
    for (const [id, execution] of this.executions) {
      if (this.executions.size <= HISTORY_LIMIT && bytes <= HISTORY_BYTES) return;
      if (!execution.info.finishedAt) continue;
      bytes -= execution.logBytes;
      this.executions.delete(id);
    }
  }
}

function requireFilePath(path: string): void {
  if (!path.startsWith("/"))
    throw invalid(`a path in a box must be absolute, and ${JSON.stringify(path)} is not`);
  if (path.includes("\0")) throw invalid("a path cannot contain a zero character");
  if (path.endsWith("/")) throw invalid(`${JSON.stringify(path)} names a directory`, "name the file itself");
}
