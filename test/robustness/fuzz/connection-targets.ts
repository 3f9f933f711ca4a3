import { LINK, PROTOCOL, readIpv4 } from "../../../src/local/network/ipv4.js";
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
import { type ByteConnection, DialError } from "../../../src/network/dialer.js";
import type { Random } from "../faults/random.js";
import { rule, type Taken, type Target } from "./target.js";

const ENDS = { source: 0xcb007105, sourcePort: 80, target: LINK.guest, targetPort: 4000 };
const SCALE = 7;
const MAX_DATA_BYTES = 31_000;
/** Of the guest's bytes, those that the stack may have taken and the server not. */
const MAX_PENDING_BYTES = 256 * 1024;

/** Bytes that differ from place to place, as far as one is asked for at once. */
const PERIOD = 65_521;
const CYCLE = Buffer.from(Uint8Array.from({ length: 2 * PERIOD }, (_, i) => ((i % PERIOD) * 40_503) >> 7));
const bytesAt = (from: number, length: number) => CYCLE.subarray(from % PERIOD, (from % PERIOD) + length);
const fromGuest = (from: number, length: number) => bytesAt(from, length);
const fromServer = (from: number, length: number) => bytesAt(from + 10_007, length);

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** A server that sends, stops reading, ends and fails when it is told to. */
class Server {
  /** What it was given that it must not be. */
  readonly violations: string[] = [];
  taken = 0;
  sent = 0;
  hasEnded = false;
  readonly over = { reading: false, writing: false };
  /** Chance that it reads on. */
  private readonly pace: number;
  private gate = Promise.resolve();
  /** Lets it read on. */
  openGate = () => {};
  private source!: ReadableStreamDefaultController<Uint8Array>;
  readonly connection: ByteConnection = {
    readable: new ReadableStream({
      start: (controller) => {
        this.source = controller;
      },
      cancel: () => this.endReading(),
    }),
    writable: new WritableStream({
      write: async (bytes) => {
        await this.gate;
        if (!isEqual(bytes, fromGuest(this.taken, bytes.byteLength)))
          this.violations.push(`the server has wrong bytes after ${this.taken}`);
        this.taken += bytes.byteLength;
      },
      close: () => this.endWriting(),
      abort: () => this.endWriting(),
    }),
  };

  constructor(private readonly random: Random) {
    this.pace = random.pick([0.4, 0.4, 0.02]);
  }

  step(): void {
    const { random } = this;
    if (random.chance(this.pace)) this.openGate();
    if (random.chance(0.2)) this.closeGate();
    if (this.over.reading) return;
    if (random.chance(0.7)) {
      const bytes = fromServer(this.sent, random.size(60_000));
      this.sent += bytes.byteLength;
      if (bytes.byteLength > 0) this.source.enqueue(bytes);
    } else if (random.chance(0.2)) {
      this.source.close();
      this.hasEnded = true;
      this.endReading();
    } else if (random.chance(0.05)) {
      this.source.error(new Error("cut"));
      this.endReading();
    }
  }

  private closeGate(): void {
    this.openGate();
    this.gate = new Promise((resolve) => {
      this.openGate = resolve;
    });
  }

  private endReading(): void {
    this.over.reading = true;
  }

  private endWriting(): void {
    this.over.writing = true;
  }
}

/** A guest that keeps to no rule but one: a byte is the same each time it sends it. */
class Guest {
  private readonly first: number;
  /** Whether it sends all that fits into a packet, and soon more than the windows let it. */
  private readonly isGreedy: boolean;
  private theirs: number | undefined;
  private sent = 0;
  private heard = 0;
  private allowed = 0;

  constructor(
    private readonly random: Random,
    private readonly server: Server,
  ) {
    this.isGreedy = random.chance(0.1);
    this.first = random.pick([0, 0x7fff_fff0, 0xffff_ff00, random.between(0, 0xffff_ffff)]);
  }

  greeting(): Uint8Array {
    const { random } = this;
    const options = {
      maxSegmentBytes: random.pick([0, 1, 536, 1460, 65_535]),
      windowScale: random.pick([undefined, SCALE]),
    };
    const window = random.pick([0, 1, 5000, 65_535]);
    this.allowed = window;
    return makeTcp(ENDS, { flags: SYN, sequence: advance(this.first, -1), acknowledged: 0, window, options })
      .packet;
  }

  segment(): Uint8Array {
    const { random } = this;
    const from = Math.max(
      0,
      this.sent + random.pick([0, 0, 0, 0, -1, -random.size(5000), random.size(5000)]),
    );
    const bytes = this.isGreedy ? MAX_DATA_BYTES : random.size(MAX_DATA_BYTES);
    const data = fromGuest(from, random.chance(0.7) ? bytes : 0);
    // What comes after a gap is never taken.
    if (from <= this.sent) this.sent = Math.max(this.sent, from + data.byteLength);
    const flags = random.chance(0.95) ? ACK : random.pick([ACK | FIN, SYN, random.between(0, 63)]);
    const known = Math.max(0, this.heard + random.pick([0, 0, 0, 0, -random.size(5000), random.size(5000)]));
    const window = random.pick([0, 1, 100, 5000, 65_535]);
    // As the largest scale would have it: the guest may have agreed to none.
    this.allowed = Math.max(this.allowed, known + (window << SCALE));
    const acknowledged = advance(this.theirs ?? 0, known);
    const made = makeTcp(
      ENDS,
      { flags, sequence: advance(this.first, from), acknowledged, window },
      data.byteLength,
    );
    made.data.set(data);
    return made.packet;
  }

  receive({ flags, sequence, acknowledged, data }: TcpSegment): void {
    if (flags & RST) return;
    this.theirs ??= advance(sequence, 1);
    const taken = distance(this.first, acknowledged);
    rule(taken <= this.sent + 1, `${taken} bytes are acknowledged, and ${this.sent} were sent`);
    rule(taken - this.server.taken <= MAX_PENDING_BYTES + 1, `${taken} bytes wait for the server`);
    if (flags & SYN) return;
    const from = distance(this.theirs, sequence);
    const end = from + data.byteLength;
    const hasEnd = data.byteLength === 0 && this.server.hasEnded;
    rule(end <= this.server.sent + (hasEnd ? 1 : 0), `${end} bytes of the server's ${this.server.sent}`);
    rule(data.byteLength === 0 || end <= this.allowed, `${end} bytes, and ${this.allowed} were asked for`);
    rule(isEqual(data, fromServer(from, data.byteLength)), `wrong bytes after ${from}`);
    const isEnd = (flags & FIN) !== 0;
    rule(!isEnd || (this.server.hasEnded && end === this.server.sent), "an end before the end");
    this.heard = Math.max(this.heard, end + (isEnd ? 1 : 0));
  }
}

const connections: Target = {
  name: "connections of a guest",
  async run({ random }): Promise<Taken> {
    const server = new Server(random);
    const guest = new Guest(random, server);
    const isRefused = random.chance(0.1);
    const timers = new Set<() => void>();
    const violations: unknown[] = [];
    const stack = new NetworkStack({
      dialer: {
        connect: async () => {
          if (isRefused) throw new DialError(random.pick(["ECONNREFUSED", "ETIMEDOUT", "EACCES"]), "no");
          return server.connection;
        },
      },
      transmit: (packets) => {
        try {
          for (const packet of packets.map(readIpv4)) {
            rule(packet !== undefined, "an answer is no packet");
            if (packet.protocol === PROTOCOL.tcp) guest.receive(readTcp(packet.payload)!);
          }
        } catch (error) {
          violations.push(error);
        }
      },
      startTimer: (_ms, onElapsed) => {
        timers.add(onElapsed);
        return () => timers.delete(onElapsed);
      },
    });
    stack.receive([guest.greeting()]);
    await new Promise(setImmediate);
    for (let left = random.between(3, 30); left > 0; left--) {
      stack.receive(Array.from({ length: random.between(1, 4) }, () => guest.segment()));
      if (!isRefused) server.step();
      if (random.chance(0.5)) await new Promise(setImmediate);
      for (const onElapsed of random.chance(0.3) ? [...timers] : []) {
        timers.delete(onElapsed);
        onElapsed();
      }
    }
    stack.close();
    server.openGate();
    await new Promise(setImmediate);
    if (violations.length > 0) throw violations[0];
    rule(server.violations.length === 0, String(server.violations[0]));
    rule(timers.size === 0, "a timer is left");
    const { reading, writing } = server.over;
    rule(isRefused || (reading && writing), "the server's side is left open");
    return { accepted: server.taken > 0 };
  },
};

/** Connections of guests that keep to no rule, with servers that do what they like. */
export const CONNECTION_TARGETS: readonly Target[] = [connections];
