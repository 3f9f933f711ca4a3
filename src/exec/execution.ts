import type { Backend, BackendEvent, ExecInfo, OutputStream, Signal } from "../backend/backend.js";
import { type CallOptions, callOptions, withSignal } from "../backend/call.js";
import { BoxRunError } from "../backend/errors.js";
import { requireOptions } from "../backend/validate.js";
import { following, whenAborted } from "../util/abort.js";
import { asyncDispose } from "../util/dispose.js";
import { inspect } from "../util/inspect.js";
import { startTimer } from "../util/timer.js";
import { mayBeWrapped } from "./wrapped-command.js";

/** An event of a command: a piece of its output, or its end. */
export type ExecEvent =
  | {
      type: "log";
      /** Output that the command wrote to. */
      stream: OutputStream;
      /** The bytes as UTF-8 text. A character that is split over two pieces is in the second. */
      data: string;
      /** Exact bytes that the command wrote. */
      bytes: Uint8Array;
      /** Position in the command's output. Never falls from event to event. */
      seq: number;
    }
  | {
      type: "exit";
      /** Exit code; null when the command was canceled or timed out. */
      exitCode: number | null;
      /** Position after all output. */
      seq: number;
    };

/** Reason to stop an iteration when its reader has left. */
const LEFT = new Error("the reader has left");
/** Time that a backend has to end a command after its time limit. */
const GRACE_MS = 5000;

/** Options of an {@link Execution}, as it was started or found. */
export interface ExecutionOptions {
  /** Whether it has a `stdin`. */
  stdin: boolean;
  /** Whether the command goes on when its reader leaves. */
  detached: boolean;
  /** Aborting it cancels the command. */
  signal?: AbortSignal;
  /** Time limit in milliseconds that the handle enforces, too, in case the backend does not. */
  timeoutMs?: number;
}

/**
 * A command in a box, running or finished. Iterate over it to read its output from the first byte on, as often as you like. Leaving a loop early
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
  /** Id of the box that the command runs in. */
  readonly boxId: string;
  /**
   * Standard input of the command; undefined unless it was started with `stdin: true`. Takes bytes or text, with back-pressure. Close it to end the input.
   * A write after the command has ended rejects with EXEC_ALREADY_FINISHED, so that a pipe into it stops.
   */
  readonly stdin: WritableStream<Uint8Array | string> | undefined;
  /** Aborts when this side gives the command up. */
  private readonly life = new AbortController();
  private readonly detached: boolean;
  private stopWatching = () => {};

  /** Creates a handle. Use {@link BoxHandle.execStream} or {@link BoxHandle.execution} instead. */
  constructor(
    private readonly backend: Backend,
    /** State of the command when it was started, or found. */
    readonly started: ExecInfo,
    options: ExecutionOptions,
  ) {
    this.id = started.id;
    this.boxId = started.boxId;
    this.detached = options.detached;
    this.stdin = options.stdin ? stdinStream(backend, started) : undefined;
    this.watch(options);
  }

  /**
   * Yields all events from the first on, then live ones, up to and including "exit".
   *
   * @throws {BoxRunError} STREAM_INTERRUPTED when the connection to the server is lost for good
   * @throws {BoxRunError} RUNTIME_ERROR when the machine of the box ends before the command does
   */
  [Symbol.asyncIterator](): AsyncGenerator<ExecEvent, void, undefined> {
    const { life: stop, end } = following(this.life.signal);
    const events = this.iterate(stop.signal, end);
    // A generator would let a reader leave only at the next event, which a silent command may never bring.
    let begun = false;
    const { next, return: leave } = events;
    events.next = () => {
      begun = true;
      return next.call(events);
    };
    events.return = async (value) => {
      stop.abort(LEFT);
      const isNew = !begun;
      begun = true;
      const left = await leave.call(events, value);
      // A generator that has not begun does not run its `finally`.
      if (isNew) {
        end();
        if (!this.detached) await this.cancelIfRunning();
      }
      return left;
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
        // Errors are reported at once, because the cancel may take long.
        if (!failed) await canceled;
      }
    }
  }

  /**
   * Returns the same events as a stream, produced at its reader's pace. Canceling it is the same as leaving the loop.
   *
   * @example
   * await execution.events().pipeTo(new WritableStream({ write: (event) => console.log(event) }));
   */
  events(): ReadableStream<ExecEvent> {
    return streamOf(this[Symbol.asyncIterator](), (event) => event);
  }

  /**
   * Returns the command's output as a stream of bytes: stdout or stderr, or both as they arrive if `which` is not given. The two are separate pipes without a
   * common order. Start the command with `stderr: "stdout"` to have one pipe, whose order is kept.
   *
   * @example
   * const response = new Response(execution.output("stdout"));
   */
  output(which?: OutputStream): ReadableStream<Uint8Array> {
    return streamOf(this[Symbol.asyncIterator](), (event) =>
      event.type === "log" && event.bytes.byteLength > 0 && (which ?? event.stream) === event.stream
        ? event.bytes
        : undefined,
    );
  }

  /** Asks for the current state of the command. */
  async info(options: CallOptions = {}): Promise<ExecInfo> {
    requireOptions(options, { signal: true });
    const { signal } = options;
    return withSignal(signal, () => this.backend.getExec(this.boxId, this.id, callOptions(signal)));
  }

  /**
   * Waits for the end of the command and resolves to its final state. Reads no output. Rejects with the signal's reason when `signal` aborts; the command goes
   * on then.
   *
   * @throws {BoxRunError} STREAM_INTERRUPTED when the server cannot say how the command ended
   */
  async wait(options: CallOptions = {}): Promise<ExecInfo> {
    requireOptions(options, { signal: true });
    const { signal } = options;
    const info = await withSignal(signal, () =>
      this.backend.waitExec(this.boxId, this.id, callOptions(signal)),
    );
    this.stopWatching();
    return info;
  }

  /**
   * Ends the command and all of its session: TERM, then KILL after a second. Processes that began a session of their own, as daemons do, go on. Resolves when
   * the command is gone; its status is then "canceled".
   *
   * @throws {BoxRunError} EXEC_ALREADY_FINISHED when it has ended
   */
  async cancel(options: CallOptions = {}): Promise<ExecInfo> {
    requireOptions(options, { signal: true });
    const info = await withSignal(options.signal, () => this.backend.cancelExec(this.boxId, this.id));
    this.stopWatching();
    return info;
  }

  /**
   * Sends a signal, "SIGKILL" unless another is named, to the command's process group. SIGKILL goes to all of its session.
   *
   * @throws {BoxRunError} EXEC_ALREADY_FINISHED when the command has ended
   * @throws {BoxRunError} VALIDATION_ERROR when there is no signal of this name
   * @throws {BoxRunError} UNSUPPORTED when the server cannot send signals
   */
  async kill(signal: Signal = "SIGKILL", options: CallOptions = {}): Promise<void> {
    requireOptions(options, { signal: true });
    return withSignal(options.signal, () => this.backend.signalExec(this.boxId, this.id, signal));
  }

  /** Returns what `console.log` shows in Node, Deno and Bun: the command as it was started. */
  [inspect](): object {
    return { Execution: this.started };
  }

  /** Returns the data that JSON.stringify writes. Find the execution again with `box.execution(id)`, and its box with `client.getBox(boxId)`. */
  toJSON(): { id: string; boxId: string } {
    return { id: this.id, boxId: this.boxId };
  }

  /** Cancels the command if it is still running, unless it was started with `detached: true`. For `await using`. */
  async [asyncDispose](): Promise<void> {
    this.stopWatching();
    if (!this.detached) await this.cancelIfRunning();
  }

  /** Ends the command when its caller's signal aborts, or when it is well past its time limit and still running. */
  private watch({ signal, timeoutMs }: ExecutionOptions): void {
    const giveUp = (reason: unknown) => {
      this.stopWatching();
      this.life.abort(reason);
      void this.cancelIfRunning();
    };
    if (signal?.aborted) return giveUp(signal.reason);
    const ignoreSignal = whenAborted(signal, giveUp);
    const overdue = () => giveUp(new Overdue(timeoutMs as number));
    const stopClock =
      timeoutMs === undefined || this.backend.keepsTimeLimits
        ? () => {}
        : startTimer(timeoutMs + GRACE_MS, overdue);
    this.stopWatching = () => {
      ignoreSignal();
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

/** An {@link Execution} that was started with `stdin: true`. */
export interface ExecutionWithStdin extends Execution {
  /** Standard input of the command. See {@link Execution.stdin}. */
  readonly stdin: WritableStream<Uint8Array | string>;
}

/** The error that a reader gets when the backend did not end a command at its time limit. */
export class Overdue extends BoxRunError {
  constructor(timeoutMs: number) {
    super("TIMEOUT", `timed out after ${timeoutMs} ms, but the server did not end it`);
  }
}

/** Returns a stream of the values that `pick` finds in events. */
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

/** Yields the incomplete character at the end of each output, as the decoder shows it. */
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
