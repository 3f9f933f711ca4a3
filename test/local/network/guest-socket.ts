import { type Ipv4Packet, LINK, PROTOCOL, readIpv4 } from "../../../src/local/network/ipv4.js";
import { NetworkStack } from "../../../src/local/network/stack.js";
import {
  ACK,
  advance,
  distance,
  FIN,
  makeTcp,
  RST,
  readTcp,
  SYN,
  type TcpSegment,
} from "../../../src/local/network/tcp-segment.js";
import type { ByteConnection, Dialer, DialTarget } from "../../../src/network/dialer.js";

/** A guest's kernel in a few lines: one that keeps to the rules, with packets lost on the way where a test wants that. */
export class SimulatedGuest {
  readonly stack: NetworkStack;
  readonly sockets = new Map<number, GuestSocket>();
  /** All packets that have arrived, but for those of TCP that belong to a socket. */
  readonly others: Ipv4Packet[] = [];
  readonly timers = new Set<() => void>();
  lose: (packet: Uint8Array) => boolean = () => false;
  private nextPort = 40_000;

  constructor(dialer: Dialer) {
    this.stack = new NetworkStack({
      dialer,
      transmit: (packets) => {
        for (const packet of packets) if (!this.lose(packet)) this.receive(packet);
      },
      startTimer: (_ms, onElapsed) => {
        this.timers.add(onElapsed);
        return () => this.timers.delete(onElapsed);
      },
    });
  }

  /** Lets seconds pass on the guest's clock. */
  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      const due = [...this.timers];
      this.timers.clear();
      for (const onElapsed of due) onElapsed();
      await turn();
    }
  }

  send(...packets: Uint8Array[]): void {
    this.stack.receive(packets.filter((packet) => !this.lose(packet)));
  }

  socket(target: number, port: number, options: Partial<SocketOptions> = {}): GuestSocket {
    const socket = new GuestSocket(this, this.nextPort++, target, port, options);
    this.sockets.set(socket.port, socket);
    return socket;
  }

  private receive(bytes: Uint8Array): void {
    const packet = readIpv4(bytes)!;
    const segment = packet.protocol === PROTOCOL.tcp ? readTcp(packet.payload) : undefined;
    const known = segment && this.sockets.get(segment.targetPort);
    const socket = known?.isConnectedTo(packet.source, segment!.sourcePort) ? known : undefined;
    // As later as a guest would: not before its host has finished what it does.
    if (socket) queueMicrotask(() => socket.receive(segment!));
    else this.others.push(packet);
  }
}

interface SocketOptions {
  segmentBytes: number;
  windowScale: number | undefined;
  /** Room for what comes, in bytes. */
  windowBytes: number;
}

export class GuestSocket {
  state: "new" | "asked" | "open" | "reset" = "new";
  /** Bytes that have arrived, unless {@link onData} does something else with them. */
  received: number[] = [];
  onData: (data: Uint8Array) => void = (data) => {
    for (const byte of data) this.received.push(byte);
  };
  ended = false;
  reading = true;
  /** Segments that have arrived. */
  readonly segments: TcpSegment[] = [];
  next = 0x7fff_fff0;
  expected = 0;
  peerWindow = 0;
  private acknowledged = 0;
  private readonly options: SocketOptions;
  private waiting: (() => void)[] = [];
  private unread = 0;

  constructor(
    private readonly guest: SimulatedGuest,
    readonly port: number,
    private readonly target: number,
    private readonly targetPort: number,
    options: Partial<SocketOptions>,
  ) {
    this.options = { segmentBytes: 1460, windowScale: 7, windowBytes: 2 ** 20, ...options };
  }

  isConnectedTo(target: number, port: number): boolean {
    return target === this.target && port === this.targetPort;
  }

  /** Resolves when `holds` does. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  segment(flags: number, fields: Partial<{ sequence: number; window: number; data: Uint8Array }> = {}) {
    const { data = new Uint8Array(0), sequence = this.next } = fields;
    const room = this.reading
      ? this.options.windowBytes
      : Math.max(0, this.options.windowBytes - this.unread);
    const scale = this.options.windowScale ?? 0;
    const window = fields.window ?? Math.min(0xffff, flags & SYN ? room : room >> scale);
    const { segmentBytes: maxSegmentBytes, windowScale } = this.options;
    const made = makeTcp(
      { source: this.target, sourcePort: this.targetPort, target: LINK.guest, targetPort: this.port },
      {
        flags,
        sequence,
        acknowledged: flags & ACK ? this.expected : 0,
        window,
        ...(flags & SYN && { options: { maxSegmentBytes, windowScale } }),
      },
      data.byteLength,
    );
    made.data.set(data);
    return made.packet;
  }

  async connect(): Promise<this> {
    this.state = "asked";
    this.guest.send(this.segment(SYN));
    this.next = advance(this.next, 1);
    await this.until(() => this.state !== "asked");
    return this;
  }

  /** Sends bytes in segments of the given sizes, as fast as the window lets it. */
  async write(bytes: Uint8Array, sizeOf: () => number = () => this.options.segmentBytes): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      await this.until(() => this.windowLeft > 0 || this.state !== "open");
      if (this.state !== "open") throw new Error("reset");
      const data = bytes.subarray(at, at + Math.min(sizeOf(), this.windowLeft));
      this.guest.send(this.segment(ACK, { data }));
      this.next = advance(this.next, data.byteLength);
      at += data.byteLength;
    }
  }

  /** Sends again what is not acknowledged; the caller knows what that was. */
  resend(bytes: Uint8Array): void {
    this.guest.send(this.segment(ACK, { sequence: this.acknowledged, data: bytes }));
  }

  get unacknowledgedBytes(): number {
    return distance(this.acknowledged, this.next);
  }

  get windowLeft(): number {
    return this.peerWindow - this.unacknowledgedBytes;
  }

  end(): void {
    this.guest.send(this.segment(FIN | ACK));
    this.next = advance(this.next, 1);
  }

  reset(): void {
    this.guest.send(this.segment(RST));
    this.state = "reset";
  }

  /** Reads again after a time of not reading. */
  resume(): void {
    this.reading = true;
    this.unread = 0;
    this.guest.send(this.segment(ACK));
  }

  receive(segment: TcpSegment): void {
    this.segments.push(segment);
    if (segment.flags & RST) this.state = "reset";
    else if (segment.flags & SYN) this.greet(segment);
    else if (this.state === "open") this.take(segment);
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  private greet({ sequence, acknowledged, window }: TcpSegment): void {
    this.expected = advance(sequence, 1);
    this.acknowledged = acknowledged;
    this.peerWindow = window;
    this.state = "open";
    this.guest.send(this.segment(ACK));
  }

  private take({ flags, sequence, acknowledged, window, data }: TcpSegment): void {
    if (distance(this.acknowledged, acknowledged) > 0) this.acknowledged = acknowledged;
    this.peerWindow = window << (this.options.windowScale === undefined ? 0 : 3);
    if (data.byteLength === 0 && !(flags & FIN) && distance(sequence, this.expected) <= 0) return;
    if (sequence === this.expected) {
      this.onData(data);
      this.unread += data.byteLength;
      this.expected = advance(this.expected, data.byteLength);
      if (flags & FIN) {
        this.expected = advance(this.expected, 1);
        this.ended = true;
      }
    }
    this.guest.send(this.segment(ACK));
  }
}

/** A far side that a test drives by hand. */
export function byHand(): ByteConnection & {
  sent: number[];
  events: string[];
  source: ReadableStreamDefaultController<Uint8Array>;
  /** Whether it takes what the guest sends. */
  gate: { open: Promise<void> };
} {
  const sent: number[] = [];
  const events: string[] = [];
  const gate = { open: Promise.resolve() };
  let source!: ReadableStreamDefaultController<Uint8Array>;
  const readable = new ReadableStream<Uint8Array>({
    start: (controller) => {
      source = controller;
    },
    cancel: () => void events.push("canceled"),
  });
  const writable = new WritableStream<Uint8Array>({
    write: async (bytes) => {
      await gate.open;
      for (const byte of bytes) sent.push(byte);
    },
    close: () => void events.push("closed"),
    abort: () => void events.push("aborted"),
  });
  return { readable, writable, sent, events, source, gate };
}

/** Lets everything that is due happen. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Numbers that look random and are the same every time. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A guest whose connections all lead to one far side. */
export function connected(far: ByteConnection = byHand()) {
  const asked: DialTarget[] = [];
  const guest = new SimulatedGuest({
    connect: async (target) => {
      asked.push(target);
      return far;
    },
  });
  return { guest, asked };
}

/** A dialer whose every connection fails. */
export function refusing(error: unknown): Dialer {
  return { connect: () => Promise.reject(error) };
}

/** Bytes that differ from place to place. */
export function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

/** Number of bytes that this process holds, garbage among them. */
export function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
