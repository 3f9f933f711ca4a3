import type { ByteConnection } from "../../network/dialer.js";
import { SendBuffer } from "./send-buffer.js";

/** Bytes that the far side is given at once, at most: a copy of what waits for it. */
const MAX_PIECE_BYTES = 64 * 1024;

/** Receiver of the events of an {@link Upstream}. */
export interface UpstreamEvents {
  /** Reports that there is more to send to the guest, or more room for what it sends. */
  onChange(): void;
  /** Reports that the connection has failed: once, and nothing follows. */
  onCut(): void;
}

/** The far side of a guest's connection: the streams that a dialer made, with what is on its way between them and the guest. */
export class Upstream {
  /** Bytes from the far side that the guest has not acknowledged. */
  readonly buffer: SendBuffer;
  /** Bytes from the guest that the far side has not taken. */
  pendingBytes = 0;
  /** Whether the far side has ended, and all it sent is in {@link buffer}, or was. */
  ended = false;
  /** Whether the far side has taken all that the guest sent, and the end of it. */
  finished = false;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  /**
   * Bytes from the guest that wait while the far side takes others. They are joined: a guest may send them one by one, and a queue of pieces would take hundreds of times the memory of
   * their bytes.
   */
  private readonly waiting: SendBuffer;
  private passing = false;
  private guestEnded = false;
  private wakeReader: (() => void) | undefined;
  private over = false;

  /** Takes over the connection. `limitBytes` bounds the buffer of each direction. */
  constructor(
    connection: ByteConnection,
    limitBytes: number,
    private readonly events: UpstreamEvents,
  ) {
    this.buffer = new SendBuffer(limitBytes);
    this.waiting = new SendBuffer(limitBytes);
    this.reader = connection.readable.getReader();
    this.writer = connection.writable.getWriter();
    // A failure is seen by whichever call is pending; these two reject as well.
    this.reader.closed.catch(() => {});
    this.writer.closed.catch(this.fail);
    void this.read().catch(this.fail);
  }

  /** Passes bytes from the guest on. The caller has seen to it that {@link pendingBytes} stays within the window. */
  write(bytes: Uint8Array): void {
    this.pendingBytes += bytes.byteLength;
    if (this.passing) this.waiting.push(bytes);
    else void this.passOn(bytes).catch(this.fail);
  }

  /** Passes on that the guest sends no more. */
  finish(): void {
    this.guestEnded = true;
    if (!this.passing) void this.close().catch(this.fail);
  }

  /** Drops bytes of {@link buffer} that the guest has acknowledged. */
  drop(bytes: number): void {
    this.buffer.drop(bytes);
    this.wakeReader?.();
  }

  /** Resets the connection. Idempotent. */
  cut(reason: string): void {
    if (this.over) return;
    this.over = true;
    const error = new Error(reason);
    this.reader.cancel(error).catch(() => {});
    this.writer.abort(error).catch(() => {});
    this.wakeReader?.();
  }

  private readonly fail = (): void => {
    if (this.over) return;
    this.cut("the connection failed");
    this.events.onCut();
  };

  /** Gives the far side these bytes, and then those that have come meanwhile. */
  private async passOn(first: Uint8Array): Promise<void> {
    this.passing = true;
    for (let bytes = first; bytes.byteLength > 0; bytes = this.nextPiece()) {
      await this.writer.write(bytes);
      this.pendingBytes -= bytes.byteLength;
      this.events.onChange();
    }
    this.passing = false;
    if (this.guestEnded) await this.close();
  }

  private nextPiece(): Uint8Array {
    const bytes = new Uint8Array(Math.min(this.waiting.byteLength, MAX_PIECE_BYTES));
    this.waiting.copy(0, bytes);
    this.waiting.drop(bytes.byteLength);
    return bytes;
  }

  private async close(): Promise<void> {
    await this.writer.close();
    this.finished = true;
    this.events.onChange();
  }

  private async read(): Promise<void> {
    for (;;) {
      const { done, value } = await this.reader.read();
      if (this.over) return;
      if (done) break;
      if (!(value instanceof Uint8Array)) throw new TypeError("a connection must yield Uint8Arrays");
      await this.take(value);
    }
    this.ended = true;
    this.events.onChange();
  }

  private async take(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength && !this.over; ) {
      const taken = this.buffer.push(bytes.subarray(at));
      at += taken;
      if (taken > 0) this.events.onChange();
      else await new Promise<void>((resolve) => (this.wakeReader = resolve));
    }
  }
}
