import type { BackendEvent, ExecInfo } from "../backend.js";
import { eventSchema, SseDecoder, type SseEvent } from "../contract/sse-decode.js";
import { BoxRunError } from "../errors.js";
import { pause } from "../util/timer.js";
import { protocolError, read } from "./failures.js";
import { isDropped } from "./http.js";
import type { Incoming } from "./incoming.js";

/** An execution on a server, as its events need it. */
export interface EventSource {
  /** In words, for errors. */
  what: string;
  /** Opens the stream. A server without cursors sends everything again, whatever `after` is. */
  open(after: number): Promise<Incoming>;
  /** The execution as the server has it now. */
  state(): Promise<ExecInfo>;
  backoffMs(attempt: number): number;
}

/** Connections in a row that bring nothing new before the stream is given up. */
const MAX_FAILURES = 6;
/** A connection that held so long was a good one, though nothing came: an idle proxy closes it, a silent command fills it with nothing. */
const STABLE_MS = 5000;

/**
 * Every event after `after`, then live ones, up to and including "exit", over as many connections as it takes. The end is never made up: where the stream
 * does not tell it, the execution's state does, and where that does not, this rejects with STREAM_INTERRUPTED.
 */
export async function* followEvents(
  source: EventSource,
  { after, signal }: { after: number; signal?: AbortSignal },
): AsyncGenerator<BackendEvent, void, undefined> {
  let seen = after;
  let failures = 0;
  /** Set once the execution is known to have ended: a stream that is opened from then on holds all there is. */
  let ended: ExecInfo | undefined;
  for (;;) {
    let body: Incoming | undefined;
    let opened = 0;
    let isNew = false;
    let broken: unknown;
    let exit: Extract<BackendEvent, { type: "exit" }> | undefined;
    try {
      body = await source.open(seen);
      opened = Date.now();
      for await (const event of readEvents(body, source.what)) {
        if (event.type === "exit") {
          exit = event;
          break;
        }
        if (event.seq <= seen) continue;
        seen = event.seq;
        isNew = true;
        yield event;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!isDropped(error)) throw error;
      broken = error;
    }
    if (exit) {
      const exitCode = exit.exitCode ?? (await exitCodeOf(source, signal));
      yield { type: "exit", exitCode, seq: Math.max(exit.seq, seen + 1) };
      return;
    }
    signal?.throwIfAborted();
    if (ended && broken === undefined) {
      yield { type: "exit", exitCode: knownExitCode(ended, source.what), seq: seen + 1 };
      return;
    }
    // What ended by this side's own clock held, too. Without an answer of the server it is no sign of life.
    let good = isNew || (body && (body.silent || Date.now() - opened >= STABLE_MS));
    try {
      const info = await source.state();
      if (info.status !== "running") ended = info;
    } catch (error) {
      if (!isDropped(error)) throw error;
      broken ??= error;
      good = false;
    }
    failures = good ? 0 : failures + 1;
    if (failures >= MAX_FAILURES)
      throw interrupted(source.what, "its stream broke off again and again", broken);
    await pause(source.backoffMs(failures + 1), signal);
  }
}

/** The events of one connection. After the exit only its end is to come. */
async function* readEvents(body: Incoming, what: string): AsyncGenerator<BackendEvent, void, undefined> {
  const decoder = new SseDecoder();
  let exited = false;
  try {
    for (;;) {
      const bytes = await body.read();
      for (const event of parse(push(decoder, bytes, what), what)) {
        exited ||= event.type === "exit";
        yield event;
      }
      if (!bytes) return;
    }
  } finally {
    void (exited ? body.finish() : body.cancel());
  }
}

function push(decoder: SseDecoder, bytes: Uint8Array | undefined, what: string): SseEvent[] {
  try {
    return bytes ? decoder.push(bytes) : decoder.end();
  } catch (error) {
    throw protocolError(`${what}: ${(error as Error).message}`);
  }
}

function* parse(events: SseEvent[], what: string): Generator<BackendEvent, void, undefined> {
  for (const { event, data } of events) {
    const schema = eventSchema(event);
    const read_ = schema && read(schema, data, `${what}, event ${event}`);
    if (read_) yield read_;
  }
}

/** An exit event without a code: canceled, out of time, or made up by a server that was restarted meanwhile. Its state tells which. */
async function exitCodeOf(source: EventSource, signal: AbortSignal | undefined): Promise<number | null> {
  for (let attempt = 1; ; attempt++) {
    const info = await source.state();
    // The stream may be told of the end a moment before the state is written.
    if (info.status !== "running") return knownExitCode(info, source.what);
    if (attempt === MAX_FAILURES) {
      throw interrupted(
        source.what,
        "its stream ended without an exit code, and the server says that it runs",
      );
    }
    await pause(source.backoffMs(attempt), signal);
  }
}

/** The exit code of an execution that has ended; null where it has none for a reason. */
function knownExitCode({ exitCode, status, errorMessage }: ExecInfo, what: string): number | null {
  if (exitCode !== null || status === "canceled" || status === "timeout") return exitCode;
  if (errorMessage !== null) throw new BoxRunError("RUNTIME_ERROR", `${what}: ${errorMessage}`);
  throw interrupted(what, `the server does not know how it ended (status ${status})`);
}

function interrupted(what: string, why: string, cause?: unknown): BoxRunError {
  const details = {
    hint: "box.execution(id) tells its state, once the server can",
    cause,
  };
  return new BoxRunError("STREAM_INTERRUPTED", `${what}: ${why}`, details);
}
