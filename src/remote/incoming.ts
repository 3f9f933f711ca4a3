import { BoxRunError } from "../errors.js";
import { untilAborted } from "../util/abort.js";
import { startTimer } from "../util/timer.js";
import { describeRequest, type RequestLine } from "./failures.js";

/** What watches over a body while it comes. */
export interface IncomingOptions {
  /** What was asked. */
  line: RequestLine;
  /** Ends it: the caller's wish, or the end of the client. */
  signal: AbortSignal;
  /** The longest pause between two reads' bytes. Only while somebody waits for them: a slow reader is no silence. */
  silenceMs: number;
  /** Called once, when no more will be read. */
  onEnd: () => void;
}

/**
 * The body of a response, read piece by piece at the reader's pace. A connection that is lost, or silent for too long, rejects with
 * STREAM_INTERRUPTED; an abort with its reason, whether or not the transport knows of the signal.
 */
export class Incoming {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  private ended = false;

  constructor(
    body: ReadableStream<Uint8Array> | null,
    private readonly options: IncomingOptions,
  ) {
    this.reader = body?.getReader();
  }

  /** The next bytes; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const { line, signal, silenceMs } = this.options;
    if (!this.reader) return void (await this.cancel());
    const silence = new AbortController();
    const interrupted = (why: string, cause?: unknown) =>
      new BoxRunError("STREAM_INTERRUPTED", `${describeRequest(line)}: ${why}`, {
        ...line,
        retryable: true,
        cause,
      });
    const stop = startTimer(silenceMs, () => silence.abort(interrupted(`nothing came for ${silenceMs} ms`)));
    try {
      const { done, value } = await untilAborted(untilAborted(this.reader.read(), silence.signal), signal);
      if (done) await this.cancel();
      return done ? undefined : value;
    } catch (error) {
      void this.cancel();
      if (signal.aborted) throw signal.reason;
      if (silence.signal.aborted) throw silence.signal.reason;
      throw interrupted("the connection was lost", error);
    } finally {
      stop();
    }
  }

  /** Lets go of what has not been read. Idempotent, and never fails. */
  async cancel(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    this.options.onEnd();
    await this.reader?.cancel().catch(() => {});
  }
}
