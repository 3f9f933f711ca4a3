import type { ByteConnection } from "../network/dialer.js";
import { closePacket, continuePacket, dataPacket, REASON } from "../network/wisp.js";
import { deferred } from "../util/deferred.js";
import { startTimer } from "../util/timer.js";

/** Number of packets for which a stream has room. */
export const BUFFER_PACKETS = 128;
/** Number of packets after which a client is told how much room there is. */
const GRANT_PACKETS = BUFFER_PACKETS / 2;
/** Bytes of a client that may wait for the far side of a stream. More packets than were granted may be on their way. */
const MAX_WAITING_BYTES = 8 * 2 ** 20;
const MAX_WAITING_PACKETS = 2 * BUFFER_PACKETS;
/** Bytes of a packet, at most. */
const PIECE_BYTES = 64 * 1024;
/** Time in milliseconds for which the far side of a stream that its client has closed may still take what was sent, and end. */
const LINGER_MS = 10_000;

/** The client of a stream, as the stream sees it. */
export interface StreamClient {
  /** Bytes that the client grants each stream; undefined for one that does not know our extension. */
  readonly windowBytes: number | undefined;
  /** Whether data has to wait, until {@link drained} resolves. */
  readonly isFull: boolean;
  send(packet: Uint8Array<ArrayBuffer>): void;
  /** Resolves when the WebSocket takes more. */
  drained(): Promise<void>;
  /** Counts bytes that wait, or wait no longer. False: that is more than all streams of a client may hold. */
  hold(bytes: number): boolean;
  /** Frees the number of a stream whose far side may still take what was sent. */
  leave(id: number, stream: RelayStream): void;
  /** Forgets a stream that is over. */
  forget(id: number, stream: RelayStream): void;
}

/** A stream of a client: a TCP connection that is made for it. */
export class RelayStream {
  private readonly life = new AbortController();
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private ungranted = 0;
  private changed = deferred<void>();
  private readonly hasEnded = { client: false, far: false };
  /** Whether the client has closed the stream: the far side gets what is left, and nothing goes back. */
  private isLeaving = false;
  private isOver = false;
  /** Bytes that the client still takes. */
  private credit: number;
  private sentBytes = 0;
  private stopTimer = () => {};

  constructor(
    private readonly client: StreamClient,
    private readonly id: number,
  ) {
    this.credit = client.windowBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Aborts when the stream is over before its connection is made. */
  get signal(): AbortSignal {
    return this.life.signal;
  }

  /** Takes data of the client; none of it is its end, if the client knows our extension. */
  take(bytes: Uint8Array): void {
    if (this.hasEnded.client || this.isLeaving || this.isOver) return;
    if (bytes.byteLength === 0) {
      if (this.client.windowBytes === undefined) return;
      this.hasEnded.client = true;
      return this.wake();
    }
    // Some runtimes use the buffer of a message again.
    const kept = bytes.slice();
    this.waiting.push(kept);
    this.waitingBytes += kept.byteLength;
    const hasRoom = this.client.hold(kept.byteLength);
    if (!hasRoom || this.waitingBytes > MAX_WAITING_BYTES || this.waiting.length > MAX_WAITING_PACKETS)
      return this.end(REASON.throttled);
    this.wake();
  }

  /** Takes what the client grants in addition. */
  grant(bytes: number): void {
    this.credit += bytes;
    this.wake();
  }

  /** Begins to count what the client grants, which it had not announced when the stream began. */
  count(windowBytes: number): void {
    this.credit = windowBytes - this.sentBytes;
    this.wake();
  }

  /** Ends the stream, which the client has closed. */
  closed(reason: number): void {
    if (reason !== REASON.voluntary) return this.cut();
    this.isLeaving = true;
    this.hasEnded.client = true;
    this.client.leave(this.id, this);
    this.stopTimer = startTimer(LINGER_MS, () => this.cut());
    this.wake();
  }

  /** Cuts the connection. Idempotent, and the client is told nothing. */
  cut(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.stopTimer();
    this.client.hold(-this.waitingBytes);
    this.waiting = [];
    this.life.abort(new Error("the stream has ended"));
    this.client.forget(this.id, this);
    this.wake();
  }

  /** Ends the stream, and tells the client why. */
  end(reason: number): void {
    if (this.isOver) return;
    if (!this.isLeaving) this.client.send(closePacket(this.id, reason));
    this.cut();
  }

  /** Passes bytes both ways between the client and a connection, until both have ended. Never rejects. */
  async join({ readable, writable }: ByteConnection): Promise<void> {
    const reader = readable.getReader();
    const writer = writable.getWriter();
    const cut = () => {
      reader.cancel().catch(() => {});
      writer.abort().catch(() => {});
    };
    this.life.signal.addEventListener("abort", cut, { once: true });
    if (this.isOver) return cut();
    this.client.send(continuePacket(this.id, BUFFER_PACKETS));
    try {
      await Promise.all([this.pass(reader), this.passOn(writer)]);
      this.cut();
    } catch {
      this.end(REASON.network);
    }
  }

  /** Passes what the far side sends to the client. */
  private async pass(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.isOver) break;
      for (let at = 0; at < value.byteLength && !this.isLeaving; ) {
        // Between the last look and the packet no other stream may fill the WebSocket.
        while ((this.client.isFull || this.credit <= 0) && !this.isLeaving && !this.isOver)
          await (this.client.isFull ? this.client.drained() : this.changed.promise);
        if (this.isLeaving || this.isOver) break;
        const piece = value.subarray(at, at + Math.min(PIECE_BYTES, this.credit));
        this.credit -= piece.byteLength;
        this.sentBytes += piece.byteLength;
        at += piece.byteLength;
        this.client.send(dataPacket(this.id, piece));
      }
    }
    if (this.isLeaving || this.isOver) return;
    this.hasEnded.far = true;
    if (this.client.windowBytes !== undefined)
      return this.client.send(dataPacket(this.id, new Uint8Array(0)));
    // Wisp has no end of one direction. What the client has sent still gets to the far side.
    this.client.send(closePacket(this.id, REASON.voluntary));
    this.closed(REASON.voluntary);
  }

  /** Passes what the client sends to the far side, and its end. */
  private async passOn(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    for (;;) {
      const bytes = this.waiting.shift();
      if (bytes) {
        await writer.write(bytes);
        if (this.isOver) return;
        this.waitingBytes -= bytes.byteLength;
        this.client.hold(-bytes.byteLength);
        this.grantMore();
      } else if (this.hasEnded.client) return writer.close();
      else if (this.isOver) return;
      else await this.changed.promise;
    }
  }

  private grantMore(): void {
    this.ungranted++;
    if (this.ungranted < GRANT_PACKETS || this.waiting.length > GRANT_PACKETS || this.isLeaving) return;
    this.ungranted = 0;
    this.client.send(continuePacket(this.id, BUFFER_PACKETS - this.waiting.length));
  }

  private wake(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}
