/**
 * Our end of one TCP connection that a program in the guest makes. It dials before it answers the SYN, so that the program learns at connect what really happened.
 *
 * Between the guest and this nothing is lost or reordered, short of a guest that floods its own link. So there is no congestion control and no estimate of round trips: data that does not
 * come in order is dropped and acknowledged, and what makes no progress for seconds is sent again.
 */
import type { ByteConnection } from "../../network/dialer.js";
import { type Ipv4Packet, LINK, makeUnreachable, UNREACHABLE } from "./ipv4.js";
import {
  ACK,
  advance,
  distance,
  type Ends,
  FIN,
  makeTcp,
  PSH,
  RST,
  type SegmentFields,
  type Sequence,
  SYN,
  type TcpSegment,
} from "./tcp-segment.js";
import { Upstream } from "./upstream.js";

const HEADERS_BYTES = 40;
const MAX_SEGMENT_BYTES = LINK.mtu - HEADERS_BYTES;
/** Smallest segments that a guest can have us make, whatever its SYN says. */
const MIN_SEGMENT_BYTES = 536;
/** Scale of the windows that we announce: with it, a window has up to 512 KB. */
const OUR_SCALE = 3;
const MAX_SCALE = 14;
const MAX_WINDOW = 0xffff;

/** Ticks, which are seconds, without progress until something is sent again. They double each time, up to the longest. */
const FIRST_WAIT = 3;
const LONGEST_WAIT = 60;
/** Attempts without any answer until the connection counts as dead. */
const MAX_ATTEMPTS = 10;
/** Ticks until a connection attempt that nobody answered is forgotten: the guest's kernel gives up after 127 s, and repeats its SYN until then. */
const SILENT_TICKS = 140;
/** Ticks of silence until a guest that has ended its side is asked whether it still knows the connection. Its kernel forgets one that its program has closed, after a minute. */
const ENDED_WAIT = 60;

/** The stack that a connection belongs to. */
export interface TcpOwner {
  /** Sends a packet to the guest. */
  send(packet: Uint8Array): void;
  /** Has {@link TcpConnection.settle} called when all packets of this turn have been read. */
  touch(connection: TcpConnection): void;
  /** Forgets the connection. */
  forget(connection: TcpConnection): void;
}

type Phase =
  /** No answer to the SYN yet. */
  | "dialing"
  /** The far side did not answer, and so nobody does. */
  | "silent"
  /** Our SYN is not acknowledged. */
  | "greeted"
  | "open"
  | "over";

export class TcpConnection {
  /** Key in the stack's table. */
  readonly key: string;
  private phase: Phase = "dialing";
  private readonly abort = new AbortController();
  private upstream: Upstream | undefined;

  /** Sequence numbers of our own bytes: the first that is not acknowledged, and the next one to send. */
  private unacknowledged: Sequence;
  private next: Sequence;
  private guestWindow: number;
  private readonly guestScale: number;
  private readonly segmentBytes: number;
  private endSent = false;

  /** Sequence numbers of the guest's bytes: the next one, and the end of the window that it was told. */
  private expected: Sequence;
  private announced: Sequence;
  private readonly ourScale: number;
  private readonly windowBytes: number;
  private guestEnded = false;
  private owesAck = false;

  private ticks = 0;
  private wait = FIRST_WAIT;
  private attempts = 0;

  /** Creates a connection for a SYN, and dials. `bufferBytes` bounds what is held of each direction. */
  constructor(
    private readonly ends: Ends,
    private readonly syn: TcpSegment,
    private readonly packet: Ipv4Packet,
    private readonly owner: TcpOwner,
    bufferBytes: number,
    dial: (signal: AbortSignal) => Promise<ByteConnection>,
  ) {
    this.key = connectionKey(ends);
    this.unacknowledged = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.next = this.unacknowledged;
    this.expected = advance(syn.sequence, 1);
    this.announced = this.expected;
    const scales = syn.windowScale !== undefined;
    this.guestScale = Math.min(syn.windowScale ?? 0, MAX_SCALE);
    this.ourScale = scales ? OUR_SCALE : 0;
    this.windowBytes = Math.min(bufferBytes, MAX_WINDOW << this.ourScale);
    this.guestWindow = syn.window;
    const asked = syn.maxSegmentBytes ?? MIN_SEGMENT_BYTES;
    this.segmentBytes = Math.min(Math.max(asked, MIN_SEGMENT_BYTES), MAX_SEGMENT_BYTES);
    void this.dial(bufferBytes, dial);
  }

  /** Whether a segment is a SYN of another connection between the same ends: this one is forgotten in the guest. */
  isSucceededBy({ flags, sequence }: TcpSegment): boolean {
    return (flags & SYN) !== 0 && (flags & ACK) === 0 && sequence !== this.syn.sequence;
  }

  receive(segment: TcpSegment): void {
    if (segment.flags & RST) return this.receiveReset(segment);
    if (this.phase !== "open" && this.phase !== "greeted") return;
    if (segment.flags & SYN) {
      // The guest repeats it when it has not seen our answer, which it may have under way.
      this.owesAck = this.phase === "open";
      return this.owner.touch(this);
    }
    this.takeAcknowledgment(segment);
    if (this.phase === "open") this.takeData(segment);
    this.owner.touch(this);
  }

  /** Sends all that is due. */
  settle(): void {
    const { upstream } = this;
    if (this.phase !== "open" || !upstream) return;
    this.sendData(upstream);
    if (upstream.ended && !this.endSent && upstream.buffer.byteLength === this.sentBytes) {
      this.sendSegment({ flags: FIN | ACK });
      this.next = advance(this.next, 1);
      this.endSent = true;
    }
    if (this.owesAck || this.shouldAnnounce()) this.sendSegment({ flags: ACK });
    const acknowledged = this.endSent && this.unacknowledged === this.next;
    if (acknowledged && this.guestEnded && upstream.finished) this.finish();
  }

  /** Notes that a second has passed. */
  tick(): void {
    if (this.phase === "silent") {
      if (++this.ticks >= SILENT_TICKS) this.finish();
      return;
    }
    const isWaiting = this.isWaiting();
    if (!isWaiting && !this.isHalfClosed()) return this.noteProgress();
    if (++this.ticks >= (isWaiting ? this.wait : Math.max(this.wait, ENDED_WAIT))) this.sendAgain();
  }

  /** Resets both sides. Idempotent. */
  reset(why: string): void {
    if (this.phase === "over") return;
    if (this.phase === "open" || this.phase === "greeted") this.sendSegment({ flags: RST | ACK });
    this.drop(why);
  }

  /** Forgets the connection, and resets its far side alone. */
  drop(why: string): void {
    this.finish();
    this.abort.abort(new Error(why));
    this.upstream?.cut(why);
  }

  private finish(): void {
    this.phase = "over";
    this.owner.forget(this);
  }

  private async dial(
    bufferBytes: number,
    dial: (signal: AbortSignal) => Promise<ByteConnection>,
  ): Promise<void> {
    const events = {
      onChange: () => this.owner.touch(this),
      onCut: () => this.reset("the far side was cut"),
    };
    try {
      this.upstream = new Upstream(await dial(this.abort.signal), bufferBytes, events);
    } catch (error) {
      if (this.phase === "dialing") this.refuse(error);
      return;
    }
    if (this.phase !== "dialing") return this.upstream.cut("the program in the box has given up");
    this.phase = "greeted";
    this.greet();
    this.next = advance(this.next, 1);
  }

  private greet(): void {
    const options = {
      maxSegmentBytes: MAX_SEGMENT_BYTES,
      windowScale: this.ourScale === 0 ? undefined : this.ourScale,
    };
    const window = Math.min(this.windowBytes, MAX_WINDOW);
    this.announced = advance(this.expected, window);
    this.sendSegment({ flags: SYN | ACK, sequence: this.unacknowledged, options, window });
  }

  private refuse(error: unknown): void {
    const code = (error as { code?: unknown } | null | undefined)?.code;
    if (code === "ETIMEDOUT") {
      this.phase = "silent";
      return;
    }
    if (code === "ECONNREFUSED" || code === "ECONNRESET")
      this.sendSegment({ flags: RST | ACK, sequence: 0, window: 0 });
    else this.owner.send(makeUnreachable(this.packet, reasonOf(code)));
    this.finish();
  }

  private receiveReset({ sequence }: TcpSegment): void {
    const at = distance(this.expected, sequence);
    if (at >= 0 && at <= this.windowBytes) this.drop("the program in the box has reset the connection");
  }

  private takeAcknowledgment({ flags, acknowledged, window }: TcpSegment): void {
    if (!(flags & ACK)) return;
    const bytes = distance(this.unacknowledged, acknowledged);
    if (bytes < 0) return;
    if (distance(acknowledged, this.next) < 0) {
      this.owesAck = true;
      return;
    }
    this.guestWindow = window << this.guestScale;
    this.noteProgress();
    if (bytes === 0) return;
    // Our SYN and our end count as a byte each.
    const greeting = this.phase === "greeted" ? 1 : 0;
    const end = this.endSent && acknowledged === this.next ? 1 : 0;
    this.phase = "open";
    this.unacknowledged = acknowledged;
    this.upstream?.drop(bytes - greeting - end);
  }

  private takeData({ flags, sequence, data }: TcpSegment): void {
    const { upstream } = this;
    const ends = (flags & FIN) !== 0;
    const known = distance(sequence, this.expected);
    // One with an old number asks for an answer: so kernels find out whether the other side lives, and has room.
    if (data.byteLength === 0 && !ends && known <= 0) return;
    this.owesAck = true;
    if (!upstream || this.guestEnded || known < 0 || known > data.byteLength) return;
    const room = this.windowBytes - upstream.pendingBytes;
    const fresh = data.subarray(known, known + Math.max(0, room));
    if (fresh.byteLength > 0) {
      this.expected = advance(this.expected, fresh.byteLength);
      upstream.write(fresh);
    }
    if (!ends || known + fresh.byteLength < data.byteLength) return;
    this.expected = advance(this.expected, 1);
    this.guestEnded = true;
    upstream.finish();
  }

  /** Bytes of data that were sent and not acknowledged. */
  private get sentBytes(): number {
    return distance(this.unacknowledged, this.next) - (this.endSent ? 1 : 0);
  }

  private sendData({ buffer }: Upstream): void {
    while (!this.endSent) {
      const unsent = buffer.byteLength - this.sentBytes;
      const bytes = Math.min(unsent, this.guestWindow - this.sentBytes, this.segmentBytes);
      // A window that opens a little is not worth a segment while others are under way.
      if (bytes <= 0 || (bytes < unsent && bytes < MIN_SEGMENT_BYTES && this.sentBytes > 0)) return;
      const flags = bytes === unsent ? ACK | PSH : ACK;
      this.sendSegment({ flags, from: this.sentBytes, bytes });
      this.next = advance(this.next, bytes);
    }
  }

  private sendSegment({
    flags,
    sequence = this.next,
    window,
    options,
    from = 0,
    bytes = 0,
  }: Partial<SegmentFields> & { flags: number; from?: number; bytes?: number }): void {
    const acknowledged = this.expected;
    const fields = { flags, sequence, acknowledged, window: window ?? this.announce(), options };
    const { packet, data } = makeTcp(this.ends, fields as SegmentFields, bytes);
    if (bytes > 0) this.upstream?.buffer.copy(from, data);
    this.owesAck = false;
    this.owner.send(packet);
  }

  /** Room for data from the guest. */
  private get room(): number {
    return Math.max(0, this.windowBytes - (this.upstream?.pendingBytes ?? 0));
  }

  private announce(): number {
    const window = this.room >> this.ourScale;
    this.announced = advance(this.expected, window << this.ourScale);
    return window;
  }

  /** Whether the window has grown so much that the guest should know: by half, or from less than a segment. */
  private shouldAnnounce(): boolean {
    const left = distance(this.expected, this.announced);
    const grown = this.room - left;
    return grown >= this.windowBytes / 2 || (left < this.segmentBytes && grown >= this.segmentBytes);
  }

  private isWaiting(): boolean {
    const held = this.upstream?.buffer.byteLength ?? 0;
    return (
      this.phase === "greeted" || (this.phase === "open" && (held > 0 || this.unacknowledged !== this.next))
    );
  }

  /** Whether only the far side can still send. It may never do, and nobody may be waiting for it. */
  private isHalfClosed(): boolean {
    return this.phase === "open" && this.upstream?.finished === true && !this.upstream.ended;
  }

  private noteProgress(): void {
    this.ticks = 0;
    this.wait = FIRST_WAIT;
    this.attempts = 0;
  }

  private sendAgain(): void {
    this.ticks = 0;
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
    if (++this.attempts > MAX_ATTEMPTS) return this.reset("the guest does not answer");
    const sequence = this.unacknowledged;
    const bytes = Math.min(this.sentBytes, this.segmentBytes);
    if (this.phase === "greeted") this.greet();
    else if (bytes > 0) this.sendSegment({ flags: ACK | PSH, sequence, bytes });
    else if (this.endSent) this.sendSegment({ flags: FIN | ACK, sequence });
    // A segment that the guest has to answer: with its window, which was closed, or with a reset.
    else this.sendSegment({ flags: ACK, sequence: advance(sequence, -1) });
  }
}

/** Key of a connection in a table. */
export function connectionKey({ sourcePort, target, targetPort }: Ends): string {
  return `${sourcePort} ${target} ${targetPort}`;
}

function reasonOf(code: unknown) {
  if (code === "EACCES") return UNREACHABLE.prohibited;
  if (code === "ENETUNREACH") return UNREACHABLE.network;
  return UNREACHABLE.host;
}
