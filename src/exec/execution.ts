import type { Backend, BackendEvent, ExecInfo, OutputStream } from "../backend/backend.js";
import { BoxRunError } from "../backend/errors.js";
import { following } from "../util/abort.js";
import { asyncDispose } from "../util/dispose.js";
import { startTimer } from "../util/timer.js";
import { mayBeWrapped } from "./wrapped-command.js";

/** What a command printed, or its end. */
export type ExecEvent =
  | {
      type: "log";
      stream: OutputStream;
      /** The bytes as text. A character that is split over two chunks comes whole, with the second. */
      data: string;
      /** Exactly what the command wrote. */
      bytes: Uint8Array;
      /** Grows from event to event. */
      seq: number;
    }
  | {
      type: "exit";
      /** Null when it was canceled or timed out. */
      exitCode: number | null;
      seq: number;
    };

/** A finished command and all it printed, up to `maxOutputBytes` a stream. */
export interface ExecResult extends ExecInfo {
  stdout: string;
  stderr: string;
  stdoutBytes: Uint8Array;
  stderrBytes: Uint8Array;
  /** True when there was more output than is here. */
  truncated: boolean;
}

/**
 * A command that ended otherwise than its caller wanted, with everything known of it in `result`. Code COMMAND_FAILED: it exited with
 * another code than 0, under `check: true`. TIMEOUT: it ran longer than `timeoutMs`. CANCELED: somebody else canceled it.
 *
 * @example
 * try {
 *   await box.exec("make", { check: true });
 * } catch (error) {
 *   if (isBoxRunError(error) && error.code === "COMMAND_FAILED") console.error((error as ExitError).result.stderr);
 * }
 */
export class ExitError extends BoxRunError {
  override readonly name = "ExitError";

  constructor(
    code: "COMMAND_FAILED" | "TIMEOUT" | "CANCELED",
    message: string,
    readonly result: ExecResult,
  ) {
    super(code, message);
  }

  override toJSON(): Record<string, unknown> {
    return { ...super.toJSON(), result: this.result };
  }
}

/** Why an iteration stops whose reader has left it. */
const LEFT = new Error("the reader has left");
/** How long after its time limit a command may be told of as running: the backend ends it, which takes a moment. */
const GRACE_MS = 5000;

/** How an {@link Execution} was started, or found. */
export interface ExecutionOptions {
  stdin: boolean;
  detached: boolean;
  /** Cancels it. */
  signal?: AbortSignal;
  /** The time limit that this side keeps, too: a backend may forget. */
  timeoutMs?: number;
}

/**
 * A command in a box, running or done. Iterate over it for its output from the first byte on, as often as you like; leaving a loop early
 * cancels the command, unless it was started with `detached: true`.
 *
 * @example
 * const execution = await box.execStream("for i in 1 2 3; do echo $i; sleep 1; done");
 * for await (const event of execution) {
 *   if (event.type === "log") console.log(event.stream, event.data);
 *   else console.log("exit code", event.exitCode);
 * }
 */
export class Execution implements AsyncIterable<ExecEvent>, AsyncDisposable {
  /** "exec_" and 12 characters: `box.execution(id)` finds it again. */
  readonly id: string;
  readonly boxId: string;
  /**
   * The command's stdin, when it was started with `stdin: true`. Takes bytes or text, with back-pressure; closing it is the end of the input.
   * A write after the command has ended rejects with EXEC_ALREADY_FINISHED, so that a pipe into it stops.
   */
  readonly stdin: WritableStream<Uint8Array | string> | undefined;
  /** Aborts when this side gives the command up. */
  private readonly life = new AbortController();
  private readonly detached: boolean;
  private stopWatching = () => {};

  constructor(
    private readonly backend: Backend,
    /** The state as it was when it started, or was found. */
    readonly started: ExecInfo,
    options: ExecutionOptions,
  ) {
    this.id = started.id;
    this.boxId = started.boxId;
    this.detached = options.detached;
    this.stdin = options.stdin ? stdinStream(backend, started) : undefined;
    this.watch(options);
  }

  /** All events from the first on, then live ones, up to and including "exit". */
  [Symbol.asyncIterator](): AsyncGenerator<ExecEvent, void, undefined> {
    const { life: stop, end } = following(this.life.signal);
    const events = this.iterate(stop.signal, end);
    // A generator would let a reader leave only at the next event, which a silent command may never bring.
    const leave = events.return.bind(events);
    events.return = (value) => {
      stop.abort(LEFT);
      return leave(value);
    };
    return events;
  }

  private async *iterate(signal: AbortSignal, onEnd: () => void): AsyncGenerator<ExecEvent, void, undefined> {
    const decoder = () => new TextDecoder("utf-8", { ignoreBOM: true });
    const decoders = { stdout: decoder(), stderr: decoder() };
    let ended = false;
    let failed = false;
    try {
      const { cmd } = this.started;
      const exact = mayBeWrapped(cmd) ? (await import("./base64-output.js")).exactOutputOf(cmd) : undefined;
      for await (const event of this.backend.execEvents(this.boxId, this.id, { after: 0, signal })) {
        if (event.type === "log") {
          const { stream, seq } = event;
          const bytes = exact ? exact.decode(stream, event.bytes) : event.bytes;
          yield { type: "log", stream, data: decoders[stream].decode(bytes, { stream: true }), bytes, seq };
          continue;
        }
        ended = true;
        this.stopWatching();
        yield* leftovers(decoders, event);
        yield event;
      }
    } catch (error) {
      failed = error !== LEFT;
      if (failed) throw error;
    } finally {
      onEnd();
      if (!ended && !this.detached) {
        const canceled = this.cancelIfRunning();
        // An error is told at once: where it comes from, the cancel may take long.
        if (!failed) await canceled;
      }
    }
  }

  /**
   * The same events as a stream, read at its reader's pace. Canceling it is leaving the loop.
   *
   * @example
   * await execution.events().pipeTo(new WritableStream({ write: (event) => console.log(event) }));
   */
  events(): ReadableStream<ExecEvent> {
    return streamOf(this[Symbol.asyncIterator](), (event) => event);
  }

  /**
   * Streams the command's output as bytes: one of its outputs, or by default both as they come. They are two pipes, which have no common order: what is printed to both at nearly the same time may come in
   * either order. Commands started with `stderr: "stdout"` have one pipe, and keep it.
   *
   * @example
   * return new Response(execution.output("stdout"));
   */
  output(which?: OutputStream): ReadableStream<Uint8Array> {
    return streamOf(this[Symbol.asyncIterator](), (event) =>
      event.type === "log" && event.bytes.byteLength > 0 && (which ?? event.stream) === event.stream
        ? event.bytes
        : undefined,
    );
  }

  /** The state as it is now. */
  info(): Promise<ExecInfo> {
    return this.backend.getExec(this.boxId, this.id);
  }

  /** Resolves when the command has ended, with its final state. Reads no output. Rejects with the signal's reason; the command goes on then. */
  async wait({ signal }: { signal?: AbortSignal } = {}): Promise<ExecInfo> {
    const info = await this.backend.waitExec(this.boxId, this.id, signal ? { signal } : {});
    this.stopWatching();
    return info;
  }

  /**
   * Ends the command and all of its session: TERM, then KILL after a second. What has begun a session of its own, as daemons do, goes on. Resolves when it is gone; its status is "canceled" then.
   * Throws EXEC_ALREADY_FINISHED.
   */
  async cancel(): Promise<ExecInfo> {
    const info = await this.backend.cancelExec(this.boxId, this.id);
    this.stopWatching();
    return info;
  }

  /** Sends a signal to the command's process group, SIGKILL to all of its session. Default "SIGKILL". Throws EXEC_ALREADY_FINISHED. */
  kill(signal = "SIGKILL"): Promise<void> {
    return this.backend.signalExec(this.boxId, this.id, signal);
  }

  /** For JSON.stringify: what `client.fromJSON` and `box.execution` need to find it again. */
  toJSON(): { id: string; boxId: string } {
    return { id: this.id, boxId: this.boxId };
  }

  /** Cancels the command if it still runs, unless it was started with `detached: true`. */
  async [asyncDispose](): Promise<void> {
    this.stopWatching();
    if (!this.detached) await this.cancelIfRunning();
  }

  /** Ends the command when its caller's signal aborts, or when it is long over its time and nobody else has ended it. */
  private watch({ signal, timeoutMs }: ExecutionOptions): void {
    const giveUp = (reason: unknown) => {
      this.stopWatching();
      this.life.abort(reason);
      void this.cancelIfRunning();
    };
    if (signal?.aborted) return giveUp(signal.reason);
    const onAbort = () => giveUp(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const overdue = () => giveUp(new Overdue(timeoutMs as number));
    const stopClock =
      timeoutMs === undefined || this.backend.keepsTimeLimits
        ? () => {}
        : startTimer(timeoutMs + GRACE_MS, overdue);
    this.stopWatching = () => {
      signal?.removeEventListener("abort", onAbort);
      stopClock();
    };
  }

  private async cancelIfRunning(): Promise<void> {
    try {
      await this.cancel();
    } catch {
      // It has ended, or its box is gone: there is nothing left to cancel.
    }
  }
}

/** A command that was started with `stdin: true`. */
export interface ExecutionWithStdin extends Execution {
  readonly stdin: WritableStream<Uint8Array | string>;
}

/** What a reader gets of a command that its backend did not end in time. */
export class Overdue extends BoxRunError {
  constructor(timeoutMs: number) {
    super("TIMEOUT", `timed out after ${timeoutMs} ms, and was not ended by its server`);
  }
}

/** A stream of what `pick` finds in the events. */
function streamOf<T>(
  events: AsyncGenerator<ExecEvent, void, undefined>,
  pick: (event: ExecEvent) => T | undefined,
): ReadableStream<T> {
  return new ReadableStream<T>(
    {
      pull: async (controller: ReadableStreamDefaultController<T>) => {
        for (;;) {
          const { done, value } = await events.next();
          if (done) return controller.close();
          const picked = pick(value);
          if (picked !== undefined) return controller.enqueue(picked);
        }
      },
      cancel: async () => void (await events.return()),
    },
    { highWaterMark: 0 },
  );
}

/** Incomplete characters at the end of a stream, as the decoder shows them. */
function* leftovers(
  decoders: Record<OutputStream, TextDecoder>,
  exit: BackendEvent,
): Generator<ExecEvent, void, undefined> {
  for (const stream of ["stdout", "stderr"] as const) {
    const data = decoders[stream].decode();
    if (data !== "") yield { type: "log", stream, data, bytes: new Uint8Array(0), seq: exit.seq };
  }
}

function stdinStream(backend: Backend, { boxId, id }: ExecInfo): WritableStream<Uint8Array | string> {
  const encoder = new TextEncoder();
  return new WritableStream({
    write: (chunk) =>
      backend.writeStdin(boxId, id, typeof chunk === "string" ? encoder.encode(chunk) : chunk),
    close: () => backend.closeStdin(boxId, id),
    abort: () => backend.closeStdin(boxId, id),
  });
}
