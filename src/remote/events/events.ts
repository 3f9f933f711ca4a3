import type { BackendEvent } from "../../backend/backend.js";
import { eventSchema, type ServerEvent, SseDecoder, type SseEvent } from "../../contract/sse-decode.js";
import { pause } from "../../util/timer.js";
import { within } from "../../util/within.js";
import type { BodyReader } from "../http/body-reader.js";
import { interrupted, protocolError, read, unknownEnd } from "../http/failures.js";
import { isDropped } from "../http/http.js";
import type { EventNumbering } from "./cursor-numbering.js";
import type { Outcome } from "./exec-outcome.js";

/** An execution on a server, as its events need it. */
export interface EventSource {
  /** Name of it in words, for errors. */
  what: string;
  /** Opens the stream. A server without cursors sends everything again, whatever `after` is. */
  open(after: number): Promise<BodyReader>;
  /** The execution as the server has it now. `told`: what the stream said of its end, where the server's own state may come later. */
  state(told?: { exitCode: number | null; error: string | null }): Promise<Outcome>;
  /** Calls `onEnd` when this client has ended the execution. Returns what stops that. */
  watchEnd(onEnd: () => void): () => void;
  backoffMs(attempt: number): number;
  /** Asks once, for a short time, whether the state says that it has ended. Absent for a server that writes the end down before it tells a reader. */
  isSettled?: () => Promise<boolean>;
  /** Time that the stream may go on before the state is asked for, in milliseconds: a server may send keep-alives for an execution that has ended. */
  silenceMs: number;
}

/** Connections in a row that bring nothing new before the stream is given up. */
const MAX_FAILURES = 6;
/** Times that a server that has told of the end is asked whether its state says so, too, after pauses that double: a reader may ask for the state next. */
const SETTLE_TRIES = 8;
const SETTLE_PAUSE_MS = 5;
/** A connection that held so long was a good one, though nothing came: an idle proxy closes it, a silent command fills it with nothing. */
const STABLE_MS = 5000;

/**
 * Every event after a position, then live ones, up to and including "exit", over as many connections as it takes. The end is never made up: where the stream
 * does not tell it, the execution's state does, and where that does not, this rejects with STREAM_INTERRUPTED.
 */
export async function* followEvents(
  source: EventSource,
  numbering: EventNumbering,
  signal?: AbortSignal,
): AsyncGenerator<BackendEvent, void, undefined> {
  let body: BodyReader | undefined;
  /** Set when this client has ended the execution: its server may say nothing of that. */
  let isEnded = false;
  const stopWatching = source.watchEnd(() => {
    isEnded = true;
    void body?.cancel();
  });
  try {
    let failures = 0;
    /** Set once the execution is known to have ended: a stream that is opened from then on holds all there is. */
    let ended: Outcome | undefined;
    for (;;) {
      const isLast = ended !== undefined;
      body = undefined;
      let opened = 0;
      let isNew = false;
      /** Since the last time that the state might have been asked. */
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
              // All there is should be on its way. Without it there is no telling what is missing.
              if (!hasCome) {
                broken = interrupted(source.what, "nothing but keep-alives came");
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
      // What ended by this side's own clock held, too. Without an answer of the server it is no sign of life, nor where all there is should have come.
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
      if (failures >= MAX_FAILURES)
        throw interrupted(source.what, "its stream broke off again and again", broken);
      await pause(source.backoffMs(failures + 1), signal);
    }
  } finally {
    stopWatching();
  }
}

/** The events of one connection, and "due" whenever it is time to ask for the state. After the exit only the connection's end is to come. */
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
      // Where nothing comes at all, the connection's own clock ends it as soon.
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
 * The exit code that an exit event stands for. One without a code was canceled, out of time, or made up by a server that was restarted meanwhile; a negative one is a signal or a time limit: the
 * execution's state tells which.
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
    // The stream may be told of the end a moment before the state is written.
    const outcome = await source.state(isFinal && isTold ? { exitCode, error } : undefined);
    if (outcome.info.status !== "running") return knownExitCode(outcome, source.what, error);
    if (isFinal) {
      throw interrupted(
        source.what,
        "its stream ended without an exit code, and the server says that it runs",
      );
    }
    await pause(source.backoffMs(attempt), signal);
  }
}

/** Waits for the state to say what the stream has said. Without an answer there is the stream's word. */
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

/** The exit code of an execution that has ended; null where it has none for a reason. `told`: what its stream says of the end, which is more than nothing. */
function knownExitCode({ info, failure }: Outcome, what: string, told: string | null = null): number | null {
  const { exitCode, status, errorMessage } = info;
  if (failure && (told === null || errorMessage !== null)) throw failure;
  if (exitCode || status === "canceled" || status === "timeout") return exitCode;
  if (exitCode === 0 && told === null) return exitCode;
  throw unknownEnd(what, info, told);
}
