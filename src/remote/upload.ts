import { wireDone } from "../contract/wire.js";
import { BoxRunError, invalid, isBoxRunError, unsupported } from "../errors.js";
import { untilAborted } from "../util/abort.js";
import { pause, startTimer } from "../util/timer.js";
import type { Http } from "./http.js";
import { canStreamRequests } from "./runtime.js";

/** What a plain BoxRun server takes in one request. */
const PLAIN_LIMIT_BYTES = 2 * 2 ** 20;
/** Of a source that is collected into a Blob. */
const MAX_BLOB_BYTES = 2 ** 30;
const BLOB_PIECE_BYTES = 16 * 2 ** 20;

/**
 * Sends one file as the multipart body of `POST .../files/upload`: as a stream, never whole in memory, where fetch can do that; in browsers as a Blob,
 * which they may keep on disk.
 */
export async function upload(
  http: Http,
  box: string,
  path: string,
  file: ReadableStream<Uint8Array>,
  { mode, signal }: { mode: number; signal?: AbortSignal },
): Promise<void> {
  // A server only of the published API has no field for the mode.
  const fields = { dest: path, ...(http.extended && { mode: mode.toString(8) }) };
  const { head, tail, contentType } = multipart(fields);
  const { silenceMs } = http.clocks;
  const life = new AbortController();
  const onAbort = () => life.abort(signal?.reason);
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  const source = new UploadSource(file, life.signal);
  try {
    const streamed = canStreamRequests();
    const body = streamed
      ? source.stream(head, tail, silenceMs, () => life.abort(silent(silenceMs)))
      : await source.blob(head, tail);
    await http.json("upload", wireDone, {
      params: { box },
      body: { content: body, contentType },
      signal: life.signal,
      // Of a Blob nobody tells how far it is.
      withinMs: streamed ? Number.POSITIVE_INFINITY : http.clocks.lifecycleMs,
    });
  } catch (error) {
    const cause = source.failure ?? error;
    throw http.extended ? cause : explainLimit(cause, source.sentBytes);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await source.release();
  }
}

/** The two ends of a multipart body whose last part is a file. */
export function multipart(fields: Record<string, string>): {
  head: Uint8Array;
  tail: Uint8Array;
  contentType: string;
} {
  const random = crypto.getRandomValues(new Uint32Array(4));
  const boundary = `boxrun-${Array.from(random, (word) => word.toString(36)).join("")}`;
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const file =
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="file"\r\n` +
    "content-type: application/octet-stream\r\n\r\n";
  const encoder = new TextEncoder();
  return {
    head: encoder.encode(parts.join("") + file),
    tail: encoder.encode(`\r\n--${boundary}--\r\n`),
    contentType: `multipart/form-data; boundary=${boundary}`,
  };
}

/** The caller's file on its way out: checked, counted, and what it fails with remembered. */
class UploadSource {
  sentBytes = 0;
  /** What the source failed with: its caller wants that, not what became of the request. */
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

  /** The body, each piece taken from the source when the connection has room for it. The clock runs while it has not. */
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
    start();
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => controller.enqueue(head),
        pull: async (controller) => {
          this.stopClock();
          try {
            const chunk = await this.next();
            controller.enqueue(chunk ?? tail);
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

  /** The body as a Blob: everything is read before anything is sent. A source that does not end is refused. */
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
      // What is in a Blob may be on the browser's disk; and the page gets its turn.
      whole = new Blob([whole, ...parts]);
      parts = [];
      waitingBytes = 0;
      await pause(0, this.signal);
    }
    return new Blob([whole, ...parts, tail as BlobPart]);
  }

  /** Ends the source, if it has not ended. Idempotent. */
  async release(): Promise<void> {
    if (this.released) return;
    this.released = true;
    this.stopClock();
    await this.reader.cancel().catch(() => {});
  }

  private async next(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await untilAborted(this.reader.read(), this.signal);
      // A source that was given up must not look like one that has ended: the server would take the half for the whole.
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
}

function silent(silenceMs: number): BoxRunError {
  return new BoxRunError("STREAM_INTERRUPTED", `the server took nothing of the upload for ${silenceMs} ms`, {
    retryable: true,
  });
}

/** A plain server refuses more than 2 MB without saying so, or hangs up meanwhile. */
function explainLimit(error: unknown, sentBytes: number): unknown {
  if (!isBoxRunError(error) || sentBytes <= PLAIN_LIMIT_BYTES) return error;
  if (error.status !== 413 && error.code !== "CONNECTION_FAILED") return error;
  return new BoxRunError(error.code, error.message, {
    ...(error.status !== undefined && { status: error.status }),
    hint: "a BoxRun server takes uploads of up to 2 MB: send the file in parts, and join them in the box",
    cause: error,
  });
}
