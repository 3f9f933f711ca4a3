import type { Terminal, TerminalSpec } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { requireTerminalSize } from "../../backend/terminal-size.js";
import { whenAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import { ByteQueue } from "../guest/byte-queue.js";
import { type GuestFailure, startFailure } from "../guest/errno.js";
import type { Guest } from "../guest/guest.js";
import { GuestProcess, type ProcessEvents } from "../guest/guest-process.js";
import type { ExitHow } from "../protocol/frame-types.js";
import { KILL_DEADLINE_MS, KILL_GRACE_MS, START_DEADLINE_MS } from "./local-execution.js";

/** Command for a terminal without a given shell: bash if the image has it, else sh. */
const ANY_SHELL = ["/bin/sh", "-c", "command -v bash > /dev/null && exec bash; exec sh"];

/** The box that a terminal is in. */
export interface TerminalOwner {
  /** Keeps the process alive while `work` is pending. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** Called when the guest does not start or end the shell, as `what` says: its machine can no longer be trusted. */
  onStuck(what: string): void;
  /** Called once when the shell has ended, for whatever reason. */
  onFinished(terminal: LocalTerminal): void;
}

/** A shell on a terminal in the guest. Unread output waits in the guest, except for one window's worth. */
export class LocalTerminal implements Terminal, ProcessEvents {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array | string>;
  readonly exited: Promise<number | null>;
  private readonly process: GuestProcess;
  private readonly ended = deferred<number | null>();
  private readonly unread = new ByteQueue();
  private changed = deferred<void>();
  private isOpen = true;
  private isClosing = false;
  private failure: { reason: unknown } | undefined;
  private forget = () => {};

  /** A property, so that it may be taken from the object. */
  readonly close = async (): Promise<void> => {
    if (this.isOpen && !this.isClosing) {
      this.isClosing = true;
      this.process.hangUp();
      const stop = this.guest.clock.startTimer(KILL_GRACE_MS + KILL_DEADLINE_MS, () =>
        this.owner.onStuck(`the guest did not end a killed terminal within ${KILL_DEADLINE_MS} ms`),
      );
      this.exited.then(stop, stop);
    }
    await this.owner.hold(() => this.exited.then(() => {})).catch(() => {});
  };

  /** A property, so that it may be taken from the object. */
  readonly resize = (cols: number, rows: number): void => {
    requireTerminalSize({ cols, rows });
    this.process.resize(cols, rows);
  };

  constructor(
    private readonly guest: Guest,
    private readonly spec: TerminalSpec & { workdir: string; env: Record<string, string> },
    private readonly owner: TerminalOwner,
    signal: AbortSignal | undefined,
  ) {
    const { shell, cols, rows, term, workdir, env } = spec;
    this.exited = this.ended.promise;
    this.exited.catch(() => {});
    this.process = new GuestProcess(
      guest,
      {
        argv: shell === null ? ANY_SHELL : [shell],
        env: Object.entries({ ...env, TERM: term }).map(([name, value]) => `${name}=${value}`),
        workdir,
        stdin: true,
        terminal: { cols, rows },
      },
      this,
    );
    this.readable = new ReadableStream<Uint8Array>(
      { pull: (controller) => owner.hold(() => this.pull(controller)), cancel: () => this.close() },
      { highWaterMark: 0 },
    );
    const encoder = new TextEncoder();
    this.writable = new WritableStream({
      write: (chunk) => this.write(typeof chunk === "string" ? encoder.encode(chunk) : chunk),
    });
    this.forget = whenAborted(signal, (reason) => {
      this.failure ??= { reason };
      void this.close();
    });
  }

  /** Resolves when the shell runs, rejects when it cannot be started. */
  async started(): Promise<void> {
    const stop = this.guest.clock.startTimer(START_DEADLINE_MS, () =>
      this.owner.onStuck(`the guest did not start a terminal within ${START_DEADLINE_MS} ms`),
    );
    await this.process.started.finally(stop);
    if (this.failure) throw this.failure.reason;
  }

  output(_stream: "stdout" | "stderr", bytes: Uint8Array): void {
    this.unread.push(bytes);
    this.wake();
  }

  exit(how: ExitHow, value: number): void {
    this.finish(this.isClosing ? null : how === "signaled" ? 128 + value : value);
  }

  failed(failure: GuestFailure): void {
    const { shell, workdir } = this.spec;
    const outcome = startFailure([shell ?? "/bin/sh"], workdir, failure);
    const error =
      outcome instanceof BoxRunError ? outcome : new BoxRunError("RUNTIME_ERROR", outcome.stderr.trim());
    this.failure ??= { reason: error };
    this.finish(null);
  }

  lost(error: BoxRunError): void {
    this.failure ??= { reason: error };
    this.finish(null);
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.unread.isEmpty && this.isOpen) await this.changed.promise;
    const bytes = this.unread.shift();
    if (bytes) {
      this.process.release(bytes.byteLength);
      controller.enqueue(bytes);
    } else if (this.failure) controller.error(this.failure.reason);
    else controller.close();
  }

  private async write(bytes: Uint8Array): Promise<void> {
    if (this.failure) throw this.failure.reason;
    if (!this.isOpen || this.isClosing)
      throw new BoxRunError("EXEC_ALREADY_FINISHED", "the shell of this terminal has ended");
    await this.owner.hold(() => this.process.write(bytes));
  }

  /** Ends the terminal. `code` is ignored after a failure. */
  private finish(code: number | null): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.forget();
    if (this.failure) this.ended.reject(this.failure.reason);
    else this.ended.resolve(code);
    this.wake();
    this.owner.onFinished(this);
  }

  private wake(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}
