import { invalid, unsupported } from "../../backend/errors.js";
import { untilAborted } from "../../util/abort.js";
import { concatBytes } from "../../util/bytes.js";
import { pause, startTimer } from "../../util/timer.js";

/** Largest source that is collected into a Blob. */
const MAX_BLOB_BYTES = 2 ** 30;
const BLOB_PIECE_BYTES = 16 * 2 ** 20;
/** Piece size that even the slowest connection takes before it counts as silent. */
const PIECE_BYTES = 64 * 1024;

/** The caller's file as the source of an upload: checked and counted, with its error remembered. */
export class UploadSource {
  sentBytes = 0;
  /** Error of the source. The caller gets this one, whatever became of the request. */
  failure: unknown;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private stopClock = () => {};
  private released = false;

  constructor(
    file: ReadableStream<Uint8Array>,
    private readonly signal: AbortSignal,
  ) {
    this.reader = file.getReader();
  }

  /** Returns the body as a stream. Each piece is taken from the source when the connection has room for it, and the timer runs while it has none. */
  stream(
    head: Uint8Array,
    tail: Uint8Array,
    silenceMs: number,
    onSilence: () => void,
  ): ReadableStream<Uint8Array> {
    const start = () => {
      this.stopClock();
      if (!this.released) this.stopClock = startTimer(silenceMs, onSilence);
    };
    let rest: Uint8Array | undefined;
    start();
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => controller.enqueue(head),
        pull: async (controller) => {
          this.stopClock();
          try {
            const chunk = rest?.byteLength ? rest : await this.next();
            controller.enqueue(chunk?.subarray(0, PIECE_BYTES) ?? tail);
            rest = chunk?.subarray(PIECE_BYTES);
            if (!chunk) controller.close();
          } catch (error) {
            controller.error(error);
          }
          start();
        },
        cancel: () => this.release(),
      },
      { highWaterMark: 0 },
    );
  }

  /** Returns the body as a Blob: everything is read before anything is sent. A source that does not end is refused. */
  async blob(head: Uint8Array, tail: Uint8Array): Promise<Blob> {
    let whole = new Blob([head as BlobPart]);
    let parts: BlobPart[] = [];
    let waitingBytes = 0;
    for (let chunk = await this.next(); chunk; chunk = await this.next()) {
      parts.push(chunk as BlobPart);
      waitingBytes += chunk.byteLength;
      if (waitingBytes < BLOB_PIECE_BYTES) continue;
      if (this.sentBytes > MAX_BLOB_BYTES) {
        throw unsupported(
          "a page cannot upload more than 1 GiB at once",
          "send it in parts, and join them in the box",
        );
      }
      // The contents of a Blob may be on the browser's disk, and the page gets its turn.
      whole = new Blob([whole, ...parts]);
      parts = [];
      waitingBytes = 0;
      await pause(0, this.signal);
    }
    return new Blob([whole, ...parts, tail as BlobPart]);
  }

  /** Cancels the source, if it has not ended. Idempotent. */
  async release(): Promise<void> {
    if (this.released) return;
    this.released = true;
    this.stopClock();
    await this.reader.cancel().catch(() => {});
  }

  /** Resolves to the next bytes; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await untilAborted(this.reader.read(), this.signal);
      // A canceled source must not look like one that has ended: the server would take half of the file for all of it.
      if (this.released) throw new Error("the upload is over");
      if (done) return undefined;
      if (!(value instanceof Uint8Array)) throw invalid("the source of an upload must be a stream of bytes");
      this.sentBytes += value.byteLength;
      return value;
    } catch (error) {
      this.failure ??= error;
      throw error;
    }
  }

  /** Yields everything in pieces of this size; the last may be smaller, and is never empty unless it is the only one. */
  async *pieces(bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
    let waiting: Uint8Array[] = [];
    let length = 0;
    let isFirst = true;
    for (let chunk = await this.next(); chunk; chunk = await this.next()) {
      for (let rest = chunk; rest.byteLength > 0; ) {
        if (length === bytes) {
          yield concatBytes(waiting);
          isFirst = false;
          waiting = [];
          length = 0;
        }
        const part = rest.slice(0, bytes - length);
        rest = rest.subarray(part.byteLength);
        waiting.push(part);
        length += part.byteLength;
      }
    }
    if (length > 0 || isFirst) yield concatBytes(waiting);
  }
}
