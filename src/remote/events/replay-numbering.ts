import { protocolError } from "../http/failures.js";
import type { EventNumbering, LogEvent } from "./cursor-numbering.js";
import type { EventOrder } from "./event-order.js";

/** Limit of the events that wait for one which this client has received before them. A server's tasks overtake each other by a few. */
const MAX_HELD = 1024;
const MAX_HELD_BYTES = 16 * 2 ** 20;
/** Limit of the numbers of a connection whose contents are remembered: an event that is sent again must be the same. */
const MAX_RECENT = 1024;
/** Limit of the times that a reader may go on without events that others had. */
const MAX_PASSED = 1000;

/** Numbering for a server that sends everything again, under numbers of its own. All readers of a client get the same positions, in the same order. */
export class ReplayNumbering implements EventNumbering {
  private readonly held = new Map<number, LogEvent>();
  private heldBytes = 0;
  /** Ranges of positions that did not arrive. */
  private readonly passed: [number, number][] = [];
  private recent = new Map<number, number>();
  private ordinal = 0;

  constructor(
    private readonly order: EventOrder,
    private seen: number,
    private readonly what: string,
  ) {}

  begin(): number {
    this.ordinal = 0;
    this.recent = new Map();
    return this.seen;
  }

  take(event: LogEvent): LogEvent[] {
    if (this.isRepeated(event)) return [];
    const position = this.order.positionOf(event.seq, ++this.ordinal);
    if (position === undefined || this.held.has(position)) return [];
    if (position <= this.seen) {
      if (this.passed.some(([from, to]) => position >= from && position <= to))
        throw protocolError(`${this.what}: event ${event.seq} arrived too late to be put in order`);
      return [];
    }
    this.held.set(position, { ...event, seq: position });
    this.heldBytes += event.bytes.byteLength;
    const ready = this.release();
    while (this.held.size > MAX_HELD || this.heldBytes > MAX_HELD_BYTES) ready.push(...this.pass());
    return ready;
  }

  rest(): LogEvent[] {
    const rest = [...this.held.values()].sort((a, b) => a.seq - b.seq);
    this.held.clear();
    this.heldBytes = 0;
    this.seen = rest.at(-1)?.seq ?? this.seen;
    return rest;
  }

  exit(): number {
    return Math.max(this.order.count, this.seen) + 1;
  }

  /** Checks whether this connection has had the number. */
  private isRepeated({ seq, stream, bytes }: LogEvent): boolean {
    const sum = checksum(stream, bytes);
    const before = this.recent.get(seq);
    if (before !== undefined) {
      if (before === sum) return true;
      throw protocolError(`${this.what}: two events have the number ${seq}`);
    }
    this.recent.set(seq, sum);
    if (this.recent.size > MAX_RECENT) this.recent.delete(this.recent.keys().next().value as number);
    return false;
  }

  private release(): LogEvent[] {
    const ready: LogEvent[] = [];
    for (let event = this.held.get(this.seen + 1); event; event = this.held.get(this.seen + 1)) {
      this.seen++;
      this.held.delete(this.seen);
      this.heldBytes -= event.bytes.byteLength;
      ready.push(event);
    }
    return ready;
  }

  /** Goes on without events that did not arrive: the server may have dropped them since. */
  private pass(): LogEvent[] {
    const next = Math.min(...this.held.keys());
    if (this.passed.length >= MAX_PASSED)
      throw protocolError(`${this.what}: the server omits too many events`);
    this.passed.push([this.seen + 1, next - 1]);
    this.seen = next - 1;
    return this.release();
  }
}

/** Returns the FNV-1a hash, which is enough to see that two events differ. */
function checksum(stream: string, bytes: Uint8Array): number {
  let hash = stream === "stdout" ? 0x811c9dc5 : 0x1c9dc581;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}
