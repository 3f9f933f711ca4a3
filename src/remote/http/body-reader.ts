import { BoxRunError } from "../../backend/errors.js";
import { untilAborted, whenAborted } from "../../util/abort.js";
import { startTimer } from "../../util/timer.js";
import { describeRequest, lostDetails, type RequestLine } from "./failures.js";

/** Time in milliseconds for the end of a body whose contents are complete. */
const FINISH_MS = 1000;

/** Options of a body that is being received. */
export interface IncomingOptions {
  /** Request that the body answers. */
  line: RequestLine;
  /** Aborts the body: the caller's signal, or the end of the client. */
  signal: AbortSignal;
  /** Longest time in milliseconds to wait for bytes. It runs only while a reader waits, so a slow reader does not count as silence. */
  silenceMs: number;
  /** Called once, when no more will be read. */
  onEnd: () => void;
}

/**
 * The body of a response, read piece by piece at the reader's pace. A connection that is lost, or silent for too long, rejects with
 * STREAM_INTERRUPTED; an abort rejects with its reason, whether or not the transport knows of the signal.
 */
export class BodyReader {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Aborts with the reason that cuts the body short: silence, or the signal. One controller serves all reads, of which there may be many. */
  private readonly broken = new AbortController();
  private readonly ignoreSignal: () => void;
  private ended = false;
  /** True when nothing arrived for too long. */
  silent = false;

  constructor(
    body: ReadableStream<Uint8Array> | null,
    private readonly options: IncomingOptions,
  ) {
    this.reader = body?.getReader();
    const { signal } = options;
    if (signal.aborted) this.broken.abort(signal.reason);
    this.ignoreSignal = whenAborted(signal, (reason) => this.broken.abort(reason));
  }

  /** Resolves to the next bytes; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const { silenceMs } = this.options;
    if (!this.reader) return void (await this.cancel());
    const { signal } = this.broken;
    const stop = startTimer(silenceMs, () => {
      this.silent = true;
      this.broken.abort(this.interrupted(`no data arrived for ${silenceMs} ms`));
    });
    try {
      const { done, value } = await untilAborted(this.reader.read(), signal);
      if (done) await this.cancel();
      return done ? undefined : value;
    } catch (error) {
      void this.cancel();
      throw signal.aborted ? signal.reason : this.interrupted("the connection was lost", error);
    } finally {
      stop();
    }
  }

  /** Reads the rest, which should be only the end, so that the connection can serve the next request. Gives up soon, and never fails. */
  async finish(): Promise<void> {
    const stop = startTimer(FINISH_MS, () => void this.cancel());
    try {
      while (this.reader && !(await this.reader.read()).done);
    } catch {
      // Nobody waits for it.
    }
    stop();
    await this.cancel();
  }

  /** Drops the rest of the body. Idempotent, and never fails. */
  async cancel(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    this.ignoreSignal();
    this.options.onEnd();
    await this.reader?.cancel().catch(() => {});
  }

  private interrupted(why: string, cause?: unknown): BoxRunError {
    const { line } = this.options;
    const details = { ...lostDetails(line), cause };
    return new BoxRunError("STREAM_INTERRUPTED", `${describeRequest(line)}: ${why}`, details);
  }
}
