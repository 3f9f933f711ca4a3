import type { BackendEvent } from "../../backend/backend.js";
import { protocolError } from "../http/failures.js";

/** One piece of a command's output. */
export type LogEvent = Extract<BackendEvent, { type: "log" }>;

/** Numbering of one reader's events, whatever numbers its server gives them. */
export interface EventNumbering {
  /** Prepares for a connection that is about to be opened. Returns the cursor to ask for. */
  begin(): number;
  /**
   * Takes an event. Returns those that are next in order, with positions that only grow.
   *
   * @throws {BoxRunError} PROTOCOL_ERROR for numbers that make no sense
   */
  take(event: LogEvent): LogEvent[];
  /** Returns the events that were held back, when no more will come. */
  rest(): LogEvent[];
  /** Returns the position of the exit, after all others. */
  exit(seq: number): number;
}

/** Numbering for a server with cursors: its numbers are the positions, and it sends no event twice. */
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
