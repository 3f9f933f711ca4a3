import { CONNECT_MS, type DialTarget, RelayError } from "../../network/dialer.js";
import {
  closePacket,
  connectPacket,
  describeReason,
  infoPacket,
  REASON,
  readPacket,
  type WispPacket,
} from "../../network/wisp.js";
import type { WebSocketLike } from "../../sockets/web-socket-types.js";
import { untilAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { RelayStream, type StreamCarrier, WINDOW_BYTES } from "./relay-stream.js";

/** Time limits in milliseconds, which tests shorten. */
export interface RelayClocks {
  /** Limit for the WebSocket and the relay's first packet. */
  openMs: number;
  /** Limit for a connection, at a relay that says when it is made. */
  connectMs: number;
  /** Time after which a connection counts as made, at a relay that says nothing and has not refused it. */
  silentMs: number;
  /** See {@link StreamCarrier.lastWordsMs}. */
  lastWordsMs: number;
}

/** The usual time limits. A relay of ours tells within its own limit that an address does not answer. */
export const CLOCKS: RelayClocks = {
  openMs: 15_000,
  connectMs: CONNECT_MS + 10_000,
  silentMs: 300,
  lastWordsMs: 10_000,
};
/** Limit of the unsent bytes, at which a writer has to wait. */
const MAX_UNSENT_BYTES = 2 ** 20;
/** Poll interval: a WebSocket does not notify when it has sent its data. */
const DRAIN_POLL_MS = 10;
/** Bytes from the relay that may wait for the readers of all streams. */
const MAX_HELD_BYTES = 256 * 2 ** 20;
const MAX_ID = 2 ** 32 - 1;

/** A WebSocket to a relay, with its streams. It fails as a whole: when it is lost, and when the relay breaks the protocol. */
export class RelaySession implements StreamCarrier {
  isOurs = false;
  private readonly opening = deferred<void>();
  private readonly streams = new Map<number, RelayStream>();
  private nextId = 1;
  private isGreeted = false;
  private initialCredit = 0;
  /** Whether the relay is known to answer a CONNECT that succeeds. */
  private answers = false;
  private received = 0;
  /** Value of `received` when a connection was last given up to which nothing had come, nor to any other. */
  private receivedInVain: number | undefined;
  private heldBytes = 0;
  private failure: RelayError | undefined;
  private readonly stopTimer: () => void;

  /** Takes a WebSocket that is being opened. `onIdle` is called when the last stream is over, `onEnd` once when the session is. */
  constructor(
    private readonly socket: WebSocketLike,
    private readonly events: { onIdle(): void; onEnd(): void },
    private readonly clocks: RelayClocks,
  ) {
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.receive(data));
    const lost = () =>
      this.fail(
        this.isGreeted
          ? "the WebSocket to the relay was lost"
          : "the relay cannot be reached, or refused the WebSocket: its address or token may be wrong, or it does not allow this page or program",
      );
    socket.addEventListener("close", lost);
    socket.addEventListener("error", lost);
    this.stopTimer = startTimer(clocks.openMs, () => this.fail("the relay did not answer"));
  }

  /** Resolves when the relay has sent its first packet; rejects when it does not. */
  get opened(): Promise<void> {
    return this.opening.promise;
  }

  get lastWordsMs(): number {
    return this.clocks.lastWordsMs;
  }

  /** Whether no stream is open. */
  get isIdle(): boolean {
    return this.streams.size === 0;
  }

  /** Makes a connection. */
  async connect({ host, port }: DialTarget, signal: AbortSignal): Promise<RelayStream> {
    signal.throwIfAborted();
    if (this.failure) throw this.failure;
    const id = this.nextId++;
    if (id === MAX_ID) this.fail("the numbers of the relay's streams are used up");
    const stream = new RelayStream(this, id, this.initialCredit);
    this.streams.set(id, stream);
    this.send(connectPacket(id, host, port));
    const receivedBefore = this.received;
    const giveUp = () => {
      stream.fail("ETIMEDOUT", "the relay did not say whether the connection was made");
      this.send(closePacket(id, REASON.voluntary));
      if (this.received === receivedBefore) this.suspect();
    };
    const stopLimit = startTimer(this.clocks.connectMs, giveUp);
    const stopSilence = startTimer(this.clocks.silentMs, () => this.answers || stream.open());
    try {
      await untilAborted(stream.opened, signal);
      return stream;
    } catch (error) {
      stream.cut("the connection was given up");
      throw error;
    } finally {
      stopLimit();
      stopSilence();
    }
  }

  /** Ends the session and all its streams. Idempotent. */
  close(): void {
    this.fail("the relay is no longer needed");
  }

  send(packet: Uint8Array<ArrayBuffer>): void {
    if (this.failure) return;
    try {
      this.socket.send(packet);
    } catch {
      this.fail("the WebSocket to the relay was lost");
    }
  }

  async drained(): Promise<void> {
    while (!this.failure && this.socket.bufferedAmount > MAX_UNSENT_BYTES)
      await new Promise<void>((resolve) => startTimer(DRAIN_POLL_MS, resolve));
  }

  hold(bytes: number): boolean {
    this.heldBytes += bytes;
    return this.heldBytes <= MAX_HELD_BYTES;
  }

  forget(id: number): void {
    if (this.streams.delete(id) && this.isIdle && !this.failure) this.events.onIdle();
  }

  private receive(data: unknown): void {
    if (this.failure) return;
    if (!(data instanceof ArrayBuffer)) return this.fail("the relay sent text, so it is none");
    this.received++;
    try {
      this.obey(readPacket(new Uint8Array(data)));
    } catch (error) {
      this.fail(`the relay broke the protocol: ${(error as Error).message}`);
    }
  }

  private obey(packet: WispPacket): void {
    if (packet.stream === 0) return this.obeyForAll(packet);
    // Packets for a stream that ended here were on their way, and are dropped.
    if (packet.stream >= this.nextId) throw new Error(`stream ${packet.stream}, which is none`);
    const stream = this.streams.get(packet.stream);
    switch (packet.type) {
      case "data":
        if (stream && !stream.take(packet.bytes)) throw new Error("more data than it may send");
        return;
      case "continue":
        // For a stream that is open, it grants more packets.
        if (stream?.isOpening) this.answers = true;
        return stream?.grant(packet.count);
      case "close":
        return stream?.closed(packet.reason);
      default:
        throw new Error("a packet that only clients send");
    }
  }

  private obeyForAll(packet: WispPacket): void {
    if (packet.type === "continue") {
      this.isGreeted = true;
      this.initialCredit = packet.count;
      this.stopTimer();
      return this.opening.resolve();
    }
    if (packet.type === "close") return this.fail(`the relay ended: ${describeReason(packet.reason)}`);
    if (packet.type !== "info") throw new Error("a packet for stream 0, which is none");
    if (packet.windowBytes === undefined || this.isOurs) return;
    this.answers = true;
    this.isOurs = true;
    this.send(infoPacket(WINDOW_BYTES));
  }

  /** Ends the session at the second connection in vain since anything was received: one may be the fault of its address. */
  private suspect(): void {
    if (this.receivedInVain === this.received) this.fail("the relay does not answer any more");
    this.receivedInVain = this.received;
  }

  private fail(why: string): void {
    if (this.failure) return;
    this.stopTimer();
    this.failure = new RelayError("ENETUNREACH", why);
    this.opening.reject(this.failure);
    for (const stream of [...this.streams.values()]) stream.fail("ECONNRESET", why);
    this.events.onEnd();
    try {
      this.socket.close();
    } catch {
      // It is closed already.
    }
  }
}
