import type { BackendEvent, ExecInfo, ExecSpec } from "../../backend/backend.js";
import { BoxRunError, invalid } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import { type GuestFailure, startFailure } from "../guest/errno.js";
import type { Guest } from "../guest/guest.js";
import { GuestProcess, type ProcessEvents } from "../guest/guest-process.js";
import { machineHint } from "../guest/machine-hint.js";
import type { ExitHow } from "../protocol/frame-types.js";
import { encodeEntry } from "../store/history.js";
import { ExecutionLog } from "./execution-log.js";
import { signalNumber } from "./signals.js";

/** Time between TERM and KILL when a command is canceled or timed out. */
export const KILL_GRACE_MS = 1000;
/** Time for the agent to report that a command runs, or why not. */
export const START_DEADLINE_MS = 60_000;
/** Time for the guest's kernel to end the group after KILL, of which a volume that hangs may take 30 seconds. After that the guest counts as broken. */
export const KILL_DEADLINE_MS = 45_000;
/** Length at which a command is cut in messages. */
const MAX_NAME_LENGTH = 200;
/** Number of bytes that are kept of the end of each output, where a shell reports what became of a program. */
const LAST_BYTES = 1000;

/** The box that a command runs in. */
export interface ExecutionOwner {
  /** Memory of the machine, in MiB. */
  readonly memoryMb: number;
  /** Called when the guest does not start or end the command, as `what` says: its machine can no longer be trusted. */
  onStuck(what: string): void;
  /** Called once when the command has ended, for whatever reason. */
  onFinished(execution: LocalExecution): void;
}

/** A command of a local box: its state, its log, and the process in the guest while there is one. */
export class LocalExecution implements ProcessEvents {
  private readonly log: ExecutionLog;
  private readonly process: GuestProcess;
  private readonly finished = deferred<void>();
  private readonly ends: Record<"stdout" | "stderr", Uint8Array> = {
    stdout: new Uint8Array(),
    stderr: new Uint8Array(),
  };
  private ending: { status: "canceled" | "timeout"; message: string | null } | undefined;
  private startError: BoxRunError | undefined;
  private stopTimeout: (() => void) | undefined;

  constructor(
    private readonly state: ExecInfo,
    private readonly guest: Guest,
    private readonly spec: ExecSpec & { workdir: string; env: Record<string, string> },
    takeLogRoom: (bytes: number) => boolean,
    private readonly owner: ExecutionOwner,
  ) {
    this.log = new ExecutionLog(takeLogRoom, (bytes) => this.process.release(bytes));
    this.process = new GuestProcess(
      guest,
      {
        argv: spec.cmd,
        env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
        workdir: spec.workdir,
        stdin: spec.stdin,
        joined: spec.stderr === "stdout",
      },
      this,
    );
    const { timeoutMs } = state;
    if (timeoutMs !== null && !state.finishedAt) {
      this.stopTimeout = this.guest.clock.startTimer(timeoutMs, () =>
        this.end("timeout", `timed out after ${timeoutMs} ms`),
      );
    }
  }

  /** Resolves once the command runs, or has ended because its program cannot be found. Rejects when it cannot be started. */
  async started(): Promise<void> {
    const stop = this.guest.clock.startTimer(START_DEADLINE_MS, () =>
      this.owner.onStuck(`the guest did not start the command ${this.name} within ${START_DEADLINE_MS} ms`),
    );
    await this.process.started.finally(stop);
    if (this.startError) throw this.startError;
  }

  get id(): string {
    return this.state.id;
  }

  get isFinished(): boolean {
    return this.state.finishedAt !== null;
  }

  get info(): ExecInfo {
    return { ...structuredClone(this.state), ...(this.log.droppedBytes > 0 && { truncated: true }) };
  }

  /** Name of the command for messages. */
  private get name(): string {
    return JSON.stringify(this.state.cmd).slice(0, MAX_NAME_LENGTH);
  }

  /** Entry of the command in the box's history. */
  get entry(): object {
    return encodeEntry(this.info, this.state.finishedAt ? this.log.head : [], this.log.seq);
  }

  /** Size of the output that is kept. */
  get logBytes(): number {
    return this.log.keptBytes;
  }

  events(after: number, signal?: AbortSignal): AsyncIterable<BackendEvent> {
    return this.log.read(after, signal);
  }

  async wait(): Promise<ExecInfo> {
    await this.finished.promise;
    return this.info;
  }

  /** Cancels the command. While it is already being ended, only waits for that. */
  async cancel(): Promise<ExecInfo> {
    this.refuseWhenFinished();
    this.end("canceled", null);
    return this.wait();
  }

  signal(name: string): void {
    const number = signalNumber(name);
    this.refuseWhenFinished();
    this.process.signal(number);
  }

  writeStdin(chunk: Uint8Array): Promise<void> {
    this.requireStdin();
    this.refuseWhenFinished();
    if (this.ending) throw new BoxRunError("EXEC_ALREADY_FINISHED", `${this.state.id} is ending`);
    return this.process.write(chunk);
  }

  closeStdin(): Promise<void> {
    this.requireStdin();
    return this.process.closeStdin();
  }

  output(stream: "stdout" | "stderr", bytes: Uint8Array): void {
    this.log.append(stream, bytes);
    this.ends[stream] = lastBytes(this.ends[stream], bytes);
  }

  exit(how: ExitHow, value: number): void {
    if (this.ending) return this.finish(this.ending.status, null, this.ending.message);
    const exitCode = how === "signaled" ? 128 + value : value;
    const message =
      how === "out of memory"
        ? `killed by signal 9: the box ran out of memory (memoryMb is ${this.owner.memoryMb})`
        : machineHint(how, value, () => this.lastOutput());
    this.finish(exitCode === 0 ? "succeeded" : "failed", exitCode, message);
  }

  failed(failure: GuestFailure): void {
    const outcome = startFailure(this.state.cmd, this.state.workdir ?? "", failure);
    if (outcome instanceof BoxRunError) {
      this.startError = outcome;
      return this.finish("failed", null, outcome.message);
    }
    this.log.append(this.spec.stderr ?? "stderr", new TextEncoder().encode(outcome.stderr));
    this.finish("failed", outcome.exitCode, outcome.hint);
  }

  lost(error: BoxRunError): void {
    this.startError = error;
    this.log.fail(error);
    this.finished.reject(error);
    this.finish("error", null, error.message);
  }

  /** Notes that the box is being stopped: the command counts as canceled, whatever ends it now. */
  expectEnd(message: string): void {
    if (!this.state.finishedAt) this.ending ??= { status: "canceled", message };
    this.log.stopPacing();
  }

  private end(status: "canceled" | "timeout", message: string | null): void {
    if (this.ending || this.state.finishedAt) return;
    this.ending = { status, message };
    this.process.terminate(KILL_GRACE_MS);
    this.log.stopPacing();
    const stop = this.guest.clock.startTimer(KILL_GRACE_MS + KILL_DEADLINE_MS, () =>
      this.owner.onStuck(
        `the guest did not end the killed command ${this.name} within ${KILL_DEADLINE_MS} ms`,
      ),
    );
    this.finished.promise.then(stop, stop);
  }

  private finish(status: string, exitCode: number | null, message: string | null): void {
    if (this.state.finishedAt) return;
    this.stopTimeout?.();
    Object.assign(this.state, { status, exitCode, errorMessage: message, finishedAt: new Date() });
    this.log.finish(exitCode);
    this.finished.resolve();
    this.owner.onFinished(this);
  }

  private lastOutput(): string {
    const decoder = new TextDecoder();
    return `${decoder.decode(this.ends.stdout)}\n${decoder.decode(this.ends.stderr)}`;
  }

  private requireStdin(): void {
    if (!this.spec.stdin) throw invalid(`${this.state.id} was started without stdin`);
  }

  private refuseWhenFinished(): void {
    if (!this.state.finishedAt) return;
    throw new BoxRunError(
      "EXEC_ALREADY_FINISHED",
      `${this.state.id} has already ended (${this.state.status})`,
    );
  }
}

function lastBytes(before: Uint8Array, added: Uint8Array): Uint8Array {
  if (added.byteLength >= LAST_BYTES) return added.slice(-LAST_BYTES);
  const kept = before.subarray(Math.max(0, before.byteLength + added.byteLength - LAST_BYTES));
  const joined = new Uint8Array(kept.byteLength + added.byteLength);
  joined.set(kept);
  joined.set(added, kept.byteLength);
  return joined;
}
