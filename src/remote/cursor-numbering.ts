import type { BackendEvent } from "../backend.js";
import { protocolError } from "./failures.js";

/** What a command printed. */
export type LogEvent = Extract<BackendEvent, { type: "log" }>;

/** How one reader's events are numbered, whatever numbers its server gives them. */
export interface EventNumbering {
  /** A connection is to be opened. Returns the cursor to ask for. */
  begin(): number;
  /** What can be told now, with positions that only grow. PROTOCOL_ERROR for numbers that make no sense. */
  take(event: LogEvent): LogEvent[];
  /** What was held back, when nothing more comes. */
  rest(): LogEvent[];
  /** The position of the exit, after all others. */
  exit(seq: number): number;
}

/** On a server with cursors: its numbers are the positions, and it sends none again. */
export class CursorNumbering implements EventNumbering {
  constructor(
    private seen: number,
    private readonly what: string,
  ) {}

  begin(): number {
    return this.seen;
  }

  take(event: LogEvent): LogEvent[] {
    if (event.seq <= this.seen) {
      throw protocolError(`${this.what}: expected an event after ${this.seen}, got number ${event.seq}`);
    }
    this.seen = event.seq;
    return [event];
  }

  rest(): LogEvent[] {
    return [];
  }

  exit(seq: number): number {
    return Math.max(seq, this.seen + 1);
  }
}
