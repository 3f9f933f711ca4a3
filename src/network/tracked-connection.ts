import { whenStreamAborted } from "../util/abort.js";
import type { ByteConnection } from "./dialer.js";

/** End of a connection that was cut. */
export interface CutOff {
  error: unknown;
  /** Whether this side has cut it, and not the far one. */
  isOurs: boolean;
}

/** A connection that counts what passes through it, and can be reset from outside. It adds no buffer. */
export class TrackedConnection implements ByteConnection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** Number of bytes that the far side has taken. */
  sentBytes = 0;
  /** Number of bytes that have come from it. */
  receivedBytes = 0;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  private failStreams: ((error: unknown) => void)[] = [];
  private openDirections = 2;
  /** Whether this side has cut the connection. */
  private isCut = false;

  /** Takes over a connection. `onEnd` is called once: with the error when it was cut or reset, and with nothing after both directions have ended. */
  constructor(
    inner: ByteConnection,
    private readonly onEnd: (end?: CutOff) => void,
  ) {
    this.reader = inner.readable.getReader();
    this.writer = inner.writable.getWriter();
    this.readable = new ReadableStream(
      {
        start: (controller) => void this.failStreams.push((error) => controller.error(error)),
        pull: (controller) => this.pull(controller),
        cancel: (reason) => this.reset(reason),
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream({
      start: (controller) => {
        this.failStreams.push((error) => controller.error(error));
        whenStreamAborted(controller, (reason) => this.resetInner(reason));
      },
      write: (chunk) => this.write(chunk),
      close: async () => {
        await this.writer.close();
        this.endOne();
      },
      abort: (reason) => this.reset(reason),
    });
    // A failure is seen here even when nobody reads or writes.
    this.writer.closed.catch((error) => this.fail(error));
    this.reader.closed.catch((error) => this.fail(error));
  }

  /** Resets the connection: both sides see it. Idempotent. */
  reset(reason: unknown): void {
    if (this.openDirections === 0) return;
    this.resetInner(reason);
    this.fail(reason);
  }

  private resetInner(reason: unknown): void {
    this.isCut = true;
    this.reader.cancel(reason).catch(() => {});
    this.writer.abort(reason).catch(() => {});
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { done, value } = await this.reader.read();
    if (this.openDirections === 0) return;
    if (done) {
      controller.close();
      return this.endOne();
    }
    if (!(value instanceof Uint8Array)) {
      const error = new TypeError("a connection must yield Uint8Arrays");
      this.fail(error);
      return this.resetInner(error);
    }
    this.receivedBytes += value.byteLength;
    controller.enqueue(value);
  }

  private async write(chunk: Uint8Array): Promise<void> {
    await this.writer.write(chunk);
    this.sentBytes += chunk.byteLength;
  }

  private endOne(): void {
    if (this.openDirections > 0 && --this.openDirections === 0) this.onEnd();
  }

  private fail(error: unknown): void {
    if (this.openDirections === 0) return;
    this.openDirections = 0;
    for (const failStream of this.failStreams) failStream(error);
    this.onEnd({ error, isOurs: this.isCut });
  }
}
