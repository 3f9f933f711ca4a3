import { type ByteConnection, type DialErrorCode, RelayError } from "../../network/dialer.js";
import {
  closePacket,
  continuePacket,
  dataPacket,
  describeReason,
  errorOf,
  REASON,
} from "../../network/wisp.js";
import { whenStreamAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { SendBuffer } from "./send-buffer.js";

/** Bytes from a relay of ours that may wait for their reader. */
export const WINDOW_BYTES = 2 ** 20;
/**
 * Bytes from another relay that may wait: it cannot be told to stop, and a box reads more slowly than the network sends. Beyond that the connection is cut.
 */
const MAX_UNREAD_BYTES = 64 * 2 ** 20;
/** Bytes of a packet, at most. */
const PIECE_BYTES = 32 * 1024;
/** The connection to a relay, as one of its streams sees it. */
export interface StreamCarrier {
  /** Whether the relay knows our extension. */
  readonly isOurs: boolean;
  /**
   * Time in milliseconds for which a connection whose box has ended its side waits for each further piece of the answer, at a relay that does not know our extension: Wisp itself cannot pass
   * on the end of one direction, and most that end theirs are gone.
   */
  readonly lastWordsMs: number;
  /** Sends a packet. */
  send(packet: Uint8Array<ArrayBuffer>): void;
  /** Resolves when the WebSocket takes more. */
  drained(): Promise<void>;
  /** Counts bytes that wait for their readers, or wait no longer. False: that is more than all streams may hold. */
  hold(bytes: number): boolean;
  /** Forgets a stream that is over. */
  forget(id: number): void;
}

/** A stream of a relay: a TCP connection that the relay makes. */
export class RelayStream implements ByteConnection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /** Whether the connection does not count as open yet. */
  isOpening = true;
  private readonly opening = deferred<void>();
  private readonly unread = new SendBuffer(MAX_UNREAD_BYTES);
  private changed = deferred<void>();
  private readonly hasEnded = { here: false, there: false };
  /** Whether the relay has closed the stream, so that it takes nothing more. */
  private isClosed = false;
  private isRead = false;
  private failure: RelayError | undefined;
  private readonly outputs: ((error: unknown) => void)[] = [];
  /** Bytes that were taken and not granted again. */
  private takenBytes = 0;
  private stopWaiting = () => {};
  private readonly limitBytes: number;

  /** Creates the stream of a CONNECT that has been sent. `credit` is the number of packets that the relay takes at once. */
  constructor(
    private readonly carrier: StreamCarrier,
    private readonly id: number,
    private credit: number,
  ) {
    // Of a stream that is older than our extension, the relay may have sent more.
    this.limitBytes = carrier.isOurs ? WINDOW_BYTES : MAX_UNREAD_BYTES;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void this.outputs.push((error) => controller.error(error)),
        pull: (controller) => this.pull(controller),
        cancel: () => this.reset(),
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        let isAborted = false;
        this.outputs.push((error) => isAborted || controller.error(error));
        whenStreamAborted(controller, () => {
          // The stream errors by itself.
          isAborted = true;
          this.reset();
        });
      },
      write: (chunk) => this.write(chunk),
      close: () => this.finish(),
      abort: () => this.reset(),
    });
  }

  /** Resolves when the connection counts as open; rejects when the relay could not make it. */
  get opened(): Promise<void> {
    return this.opening.promise;
  }

  /** Takes the connection for open. */
  open(): void {
    this.isOpening = false;
    this.opening.resolve();
  }

  /** Takes data from the relay. Returns false when that is more than it may send. */
  take(bytes: Uint8Array): boolean {
    this.open();
    if (this.failure || this.isClosed) return true;
    if (bytes.byteLength === 0) {
      if (this.carrier.isOurs) this.endSide("there");
      return true;
    }
    if (this.hasEnded.there) return false;
    if (this.unread.byteLength + bytes.byteLength > this.limitBytes) {
      if (this.limitBytes === WINDOW_BYTES) return false;
      this.cut("the relay sends faster than the box reads", REASON.client);
      return true;
    }
    this.unread.push(bytes);
    if (!this.carrier.hold(bytes.byteLength)) {
      this.cut("the relay sends faster than the boxes read", REASON.client);
      return true;
    }
    if (this.hasEnded.here && !this.carrier.isOurs) this.awaitLastWords();
    this.wake();
    return true;
  }

  /** Takes the number of packets for which the relay has room now. */
  grant(packets: number): void {
    this.credit = packets;
    this.open();
    this.wake();
  }

  /** Ends the stream, which the relay has closed. */
  closed(reason: number): void {
    this.stopWaiting();
    if (reason !== REASON.voluntary) {
      const why = `the relay closed the connection: ${describeReason(reason)}`;
      this.opening.reject(new RelayError(errorOf(reason), why));
      return this.fail("ECONNRESET", why);
    }
    this.open();
    this.isClosed = true;
    this.hasEnded.there = true;
    this.carrier.forget(this.id);
    this.wake();
  }

  /** Fails the stream, which the relay knows no longer. */
  fail(code: DialErrorCode, why: string): void {
    if (this.failure) return;
    this.stopWaiting();
    this.failure = new RelayError(code, why);
    this.opening.reject(this.failure);
    for (const output of this.outputs) output(this.failure);
    this.carrier.hold(-this.unread.byteLength);
    this.unread.drop(this.unread.byteLength);
    this.carrier.forget(this.id);
    this.wake();
  }

  /** Gives the stream up, and tells the relay. */
  cut(why: string, reason: number = REASON.network): void {
    if (this.failure) return;
    if (!this.isClosed && !this.isOver()) this.carrier.send(closePacket(this.id, reason));
    this.fail("ECONNRESET", why);
  }

  private reset(): void {
    this.cut("the connection was reset");
  }

  private isOver(): boolean {
    return this.hasEnded.here && this.hasEnded.there;
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.unread.byteLength === 0 && !this.hasEnded.there && !this.failure) await this.changed.promise;
    if (this.failure) return;
    const bytes = new Uint8Array(Math.min(this.unread.byteLength, PIECE_BYTES * 2));
    if (bytes.byteLength === 0) {
      this.isRead = true;
      return controller.close();
    }
    this.unread.copy(0, bytes);
    this.unread.drop(bytes.byteLength);
    this.carrier.hold(-bytes.byteLength);
    this.takenBytes += bytes.byteLength;
    if (this.carrier.isOurs && this.takenBytes >= WINDOW_BYTES / 2 && !this.hasEnded.there) {
      this.carrier.send(continuePacket(this.id, this.takenBytes));
      this.takenBytes = 0;
    }
    controller.enqueue(bytes);
  }

  private async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength; at += PIECE_BYTES) {
      await this.carrier.drained();
      while (this.credit === 0 && !this.isClosed && !this.failure) await this.changed.promise;
      if (this.failure) throw this.failure;
      // What came before the far side's end is still to be read; a write after that is one too many, as it is for TCP.
      if (this.isClosed && this.isRead) throw new RelayError("ECONNRESET", "the far side has closed");
      if (this.isClosed) return;
      this.credit--;
      this.carrier.send(dataPacket(this.id, chunk.subarray(at, at + PIECE_BYTES)));
    }
  }

  private finish(): void {
    if (this.isClosed || this.failure) return;
    if (!this.carrier.isOurs) {
      this.hasEnded.here = true;
      return this.awaitLastWords();
    }
    this.carrier.send(dataPacket(this.id, new Uint8Array(0)));
    this.endSide("here");
  }

  private awaitLastWords(): void {
    this.stopWaiting();
    this.stopWaiting = startTimer(this.carrier.lastWordsMs, () =>
      this.cut("the box had ended its side", REASON.voluntary),
    );
  }

  private endSide(side: "here" | "there"): void {
    this.hasEnded[side] = true;
    if (this.isOver()) this.carrier.forget(this.id);
    this.wake();
  }

  private wake(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}
