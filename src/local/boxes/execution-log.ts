import type { BackendEvent, OutputStream } from "../../backend/backend.js";
import { untilAborted } from "../../util/abort.js";
import { type Deferred, deferred } from "../../util/deferred.js";

/** Charge for each entry beside its bytes, so that a command which prints byte by byte fills the log and not the memory. */
const ENTRY_OVERHEAD_BYTES = 128;

type LogEvent = Extract<BackendEvent, { type: "log" }>;

interface Reader {
  /** Position of the last event that the reader has taken. */
  cursor: number;
}

/**
 * The output of one execution, read by any number of cursors.
 *
 * The first part of the output is kept for good, for as long as `takeRoom` returns true, and up to there the command never waits for a reader. Later output is
 * held only until every live reader has taken it, and `onReleased` is called then, so that the command runs at their pace. Without a reader, it is dropped.
 */
export class ExecutionLog {
  private readonly kept: LogEvent[] = [];
  /** Size of the output that is kept for good, with the overhead of its entries. */
  keptBytes = 0;
  private full = false;
  /** Later events, with consecutive positions. All readers have taken the first `passed` of them. */
  private readonly passing: LogEvent[] = [];
  private passed = 0;
  private exit: BackendEvent | undefined;
  private failure: Error | undefined;
  private lastSeq = 0;
  private readonly readers = new Set<Reader>();
  private changed: Deferred<void> = deferred();
  private pacing = true;
  /** Number of bytes that were dropped. */
  droppedBytes = 0;

  constructor(
    private readonly takeRoom: (bytes: number) => boolean,
    private readonly onReleased: (bytes: number) => void,
  ) {}

  append(stream: OutputStream, bytes: Uint8Array): void {
    // A small view of a large buffer would keep all of it in memory.
    const own = bytes.byteLength * 2 < bytes.buffer.byteLength ? bytes.slice() : bytes;
    const event: LogEvent = { type: "log", stream, bytes: own, seq: ++this.lastSeq };
    const cost = bytes.byteLength + ENTRY_OVERHEAD_BYTES;
    if (!this.full && this.takeRoom(cost)) {
      this.kept.push(event);
      this.keptBytes += cost;
      this.onReleased(bytes.byteLength);
    } else {
      this.full = true;
      if (this.readers.size === 0 || !this.pacing) return this.drop(event);
      this.passing.push(event);
    }
    this.wake();
  }

  /** Events that are kept for good, in order. */
  get head(): readonly LogEvent[] {
    return this.kept;
  }

  /** Position of the last event so far. */
  get seq(): number {
    return this.lastSeq;
  }

  /** Notes the end of the command. */
  finish(exitCode: number | null): void {
    if (this.failure) return;
    this.exit ??= { type: "exit", exitCode, seq: ++this.lastSeq };
    this.wake();
  }

  /** Notes that the end will never be known: readers get the events so far, then this error. */
  fail(error: Error): void {
    if (this.exit) return;
    this.failure ??= error;
    this.wake();
  }

  /** Stops waiting for readers: the command is being ended, and unread output must not delay that. */
  stopPacing(): void {
    this.pacing = false;
    for (const event of this.passing.splice(0).slice(this.passed)) this.drop(event);
    this.passed = 0;
  }

  /** Yields every event after `after`, then live ones, up to and including "exit". */
  async *read(after: number, signal?: AbortSignal): AsyncGenerator<BackendEvent, void, undefined> {
    const reader: Reader = { cursor: after };
    this.readers.add(reader);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const event = this.next(reader.cursor);
        if (!event) {
          if (this.failure) throw this.failure;
          // Nothing follows the exit, wherever the reader began.
          if (this.exit) return;
          await untilAborted(this.changed.promise, signal);
          continue;
        }
        yield event;
        reader.cursor = event.seq;
        if (event.type === "exit") return;
        this.release();
      }
    } finally {
      this.readers.delete(reader);
      this.release();
    }
  }

  private next(cursor: number): BackendEvent | undefined {
    // Kept events have the positions from 1 on, without a gap.
    const kept = this.kept[cursor];
    if (kept) return kept;
    const first = this.passing[this.passed];
    if (first) {
      const passing = this.passing[this.passed + Math.max(0, cursor + 1 - first.seq)];
      if (passing) return passing;
    }
    return this.exit && this.exit.seq > cursor ? this.exit : undefined;
  }

  /** Drops events that all readers have taken. */
  private release(): void {
    let slowest = Number.POSITIVE_INFINITY;
    for (const reader of this.readers) slowest = Math.min(slowest, reader.cursor);
    for (
      let event = this.passing[this.passed];
      event && event.seq <= slowest;
      event = this.passing[this.passed]
    ) {
      this.passed++;
      if (this.readers.size === 0) this.droppedBytes += event.bytes.byteLength;
      this.onReleased(event.bytes.byteLength);
    }
    // Not one by one: a guest may print a million single bytes before its reader takes the first.
    if (this.passed * 2 < this.passing.length) return;
    this.passing.splice(0, this.passed);
    this.passed = 0;
  }

  private drop(event: LogEvent): void {
    this.droppedBytes += event.bytes.byteLength;
    this.onReleased(event.bytes.byteLength);
  }

  private wake(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}
