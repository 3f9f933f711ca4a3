import type { BackendEvent } from "../../backend/backend.js";
import { eventSchema, type ServerEvent, SseDecoder, type SseEvent } from "../../contract/sse-decode.js";
import { pause } from "../../util/timer.js";
import { within } from "../../util/within.js";
import type { BodyReader } from "../http/body-reader.js";
import { interrupted, protocolError, read, unknownEnd } from "../http/failures.js";
import { isDropped } from "../http/http.js";
import type { EventNumbering } from "./cursor-numbering.js";
import type { Outcome } from "./exec-outcome.js";
import { MAX_FAILURES, STABLE_MS } from "./reconnecting.js";

/** An execution on a server, as far as reading its events needs it. */
export interface EventSource {
  /** Description of the execution for errors. */
  what: string;
  /** Opens the stream. A server without cursors sends everything again, whatever `after` is. */
  open(after: number): Promise<BodyReader>;
  /** Asks for the current state of the execution. `told` is the end as the stream reported it, which the server's own state may not show yet. */
  state(told?: { exitCode: number | null; error: string | null }): Promise<Outcome>;
  /** Calls `onEnd` when this client has ended the execution. Returns a function that stops that. */
  watchEnd(onEnd: () => void): () => void;
  backoffMs(attempt: number): number;
  /** Asks once, with a short time limit, whether the state shows the end. Absent for a server that stores the end before it notifies a reader. */
  isSettled?: () => Promise<boolean>;
  /** Time in milliseconds for which the stream may go on before the state is asked for. A server may send keep-alives for an execution that has ended. */
  silenceMs: number;
}

/** Number of queries, after pauses that double, for the state of a server that has reported the end to its reader. The reader may ask for the state next. */
const SETTLE_TRIES = 8;
const SETTLE_PAUSE_MS = 5;

/**
 * Yields every event after a position, then live ones, up to and including "exit", over as many connections as it takes. The end is never guessed: if the
 * stream does not report it, the execution's state does, and otherwise this rejects with STREAM_INTERRUPTED.
 */
export async function* followEvents(
  source: EventSource,
  numbering: EventNumbering,
  signal?: AbortSignal,
): AsyncGenerator<BackendEvent, void, undefined> {
  let body: BodyReader | undefined;
  /** Set when this client has ended the execution, which the server may not report. */
  let isEnded = false;
  const stopWatching = source.watchEnd(() => {
    isEnded = true;
    void body?.cancel();
  });
  try {
    let failures = 0;
    /** Set once the execution is known to have ended. A stream that is opened after that has everything. */
    let ended: Outcome | undefined;
    for (;;) {
      const isLast = ended !== undefined;
      body = undefined;
      let opened = 0;
      let isNew = false;
      /** Time of the last opportunity to ask for the state. */
      let hasCome = false;
      let broken: unknown;
      let exit: Extract<ServerEvent, { type: "exit" }> | undefined;
      try {
        body = await source.open(numbering.begin());
        opened = Date.now();
        if (isEnded && !isLast) void body.cancel();
        for await (const event of readEvents(body, source)) {
          if (event === "due") {
            if (isLast) {
              // All events should be on their way. Without the "exit" there is no telling what is missing.
              if (!hasCome) {
                broken = interrupted(source.what, "only keep-alives arrived");
                break;
              }
              hasCome = false;
              continue;
            }
            const state = await source.state();
            if (state.info.status === "running") continue;
            ended = state;
            break;
          }
          hasCome = true;
          if (event.type === "exit") {
            exit = event;
            break;
          }
          for (const numbered of numbering.take(event)) {
            isNew = true;
            yield numbered;
          }
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (!isDropped(error)) throw error;
        broken = error;
      }
      if (exit || (ended && isLast && broken === undefined)) {
        yield* numbering.rest();
        const exitCode = exit
          ? await exitCodeOf(exit, source, signal)
          : knownExitCode(ended as Outcome, source.what);
        yield { type: "exit", exitCode, seq: numbering.exit(exit?.seq ?? 0) };
        return;
      }
      signal?.throwIfAborted();
      // A connection that this side's own timer ended counts as good, too. Without an answer from the server that proves nothing, nor when all events should
      // have arrived.
      const held = body && (body.silent || Date.now() - opened >= STABLE_MS);
      let good = isNew || (!isLast && held);
      try {
        const state = ended ?? (await source.state());
        if (state.info.status !== "running") ended = state;
        if (ended && !isLast) continue;
      } catch (error) {
        if (!isDropped(error)) throw error;
        broken ??= error;
        good = false;
      }
      failures = good ? 0 : failures + 1;
      if (failures >= MAX_FAILURES) throw interrupted(source.what, "its stream kept breaking off", broken);
      await pause(source.backoffMs(failures + 1), signal);
    }
  } finally {
    stopWatching();
  }
}

/** Yields the events of one connection, and "due" whenever it is time to ask for the state. After the exit, only the end of the connection follows. */
async function* readEvents(
  body: BodyReader,
  { what, silenceMs }: EventSource,
): AsyncGenerator<ServerEvent | "due", void, undefined> {
  const decoder = new SseDecoder();
  let exited = false;
  let asked = Date.now();
  let cameSince = false;
  try {
    for (;;) {
      const reading = body.read().then((bytes) => ({ bytes }));
      reading.catch(() => {});
      const leftMs = asked + silenceMs - Date.now();
      // If nothing arrives at all, the timer of the connection ends it as soon.
      let come = cameSince && leftMs > 0 ? await within(leftMs, reading) : undefined;
      if (cameSince && !come) {
        yield "due";
        asked = Date.now();
        cameSince = false;
      }
      come ??= await reading;
      const { bytes } = come;
      cameSince = true;
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

function* parse(events: SseEvent[], what: string): Generator<ServerEvent, void, undefined> {
  for (const { event, data } of events) {
    const schema = eventSchema(event);
    const read_ = schema && read(schema, data, `${what}, event ${event}`);
    if (read_) yield read_;
  }
}

/**
 * Resolves to the exit code that an exit event stands for. An event without a code means canceled, timed out, or invented by a server that has since restarted;
 * a negative code is a signal or a time limit. The execution's state says which.
 */
async function exitCodeOf(
  { exitCode, error }: Extract<ServerEvent, { type: "exit" }>,
  source: EventSource,
  signal: AbortSignal | undefined,
): Promise<number | null> {
  if (exitCode !== null && exitCode >= 0 && error === null) {
    await untilSettled(source, signal);
    return exitCode;
  }
  const isTold = exitCode !== null || error !== null;
  for (let attempt = 1; ; attempt++) {
    const isFinal = attempt === MAX_FAILURES;
    // A stream may report the end a moment before the state is stored.
    const outcome = await source.state(isFinal && isTold ? { exitCode, error } : undefined);
    if (outcome.info.status !== "running") return knownExitCode(outcome, source.what, error);
    if (isFinal) {
      throw interrupted(
        source.what,
        "its stream ended without an exit code, but the server says that it is running",
      );
    }
    await pause(source.backoffMs(attempt), signal);
  }
}

/** Waits until the state confirms what the stream has reported. Without an answer, the stream is believed. */
async function untilSettled({ isSettled }: EventSource, signal: AbortSignal | undefined): Promise<void> {
  for (let attempt = 0; isSettled && attempt < SETTLE_TRIES; attempt++) {
    try {
      if (await isSettled()) return;
    } catch {
      signal?.throwIfAborted();
      return;
    }
    await pause(SETTLE_PAUSE_MS * 2 ** attempt, signal);
  }
}

/**
 * Returns the exit code of an execution that has ended; null when there is a reason to have none. `told` is what its stream reported of the end, which is
 * better than nothing.
 */
function knownExitCode({ info, failure }: Outcome, what: string, told: string | null = null): number | null {
  const { exitCode, status, errorMessage } = info;
  if (failure && (told === null || errorMessage !== null)) throw failure;
  if (exitCode || status === "canceled" || status === "timeout") return exitCode;
  if (exitCode === 0 && told === null) return exitCode;
  throw unknownEnd(what, info, told);
}
