import { protocolError } from "../http/failures.js";

/** Consecutive numbers that were first delivered in this order, ascending or descending. */
interface Run {
  low: number;
  high: number;
  /** Position of the number that came first. */
  position: number;
  /** Step from one number to the next; 0 for a single number. */
  step: -1 | 0 | 1;
}

/** Limit of the breaks in the order of a server's numbers that are remembered for one execution. */
const MAX_RUNS = 65_536;
/** Limit of the breaks of all executions together. One takes some 68 bytes, so these are about 18 MB. */
const MAX_ALL_RUNS = 4 * MAX_RUNS;
/** Limit of the executions whose order is remembered. */
const MAX_ORDERS = 256;

/**
 * The positions of one execution's events: 1, 2, … in the order in which any reader of this client first received them. A server's own numbers may begin
 * anywhere, have gaps and be out of order while the events are live; they only serve to recognize an event that is sent again. Numbers in order take no memory.
 * If the oldest of very many breaks are dropped, only the count of numbers up to a given one is kept.
 */
export class EventOrder {
  /** Runs, sorted by number. */
  private readonly runs: Run[] = [];
  private total = 0;
  private settled = { last: Number.NEGATIVE_INFINITY, count: 0 };

  constructor(
    private readonly maxRuns = MAX_RUNS,
    private readonly onBreak = () => {},
  ) {}

  /** Number of breaks that this order remembers. */
  get breaks(): number {
    return this.runs.length;
  }

  /** Number of events that have a position. */
  get count(): number {
    return this.total;
  }

  /**
   * Returns the position of an event by its number, which is the next one for a new number. `ordinal` is its place in its own stream, by which the oldest are
   * found. Undefined for a number whose position was dropped.
   */
  positionOf(seq: number, ordinal: number): number | undefined {
    if (seq <= this.settled.last) return ordinal <= this.settled.count ? ordinal : undefined;
    const at = this.indexOf(seq);
    const run = this.runs[at];
    if (run && run.low <= seq)
      return run.step < 0 ? run.position + run.high - seq : run.position + seq - run.low;
    this.add(seq, at);
    return this.total;
  }

  private add(seq: number, at: number): void {
    const position = ++this.total;
    const below = this.runs[at - 1];
    const above = this.runs[at];
    if (below?.high === seq - 1 && below.step >= 0 && isNext(below, position)) {
      below.high = seq;
      below.step = 1;
    } else if (above?.low === seq + 1 && above.step <= 0 && isNext(above, position)) {
      above.low = seq;
      above.step = -1;
    } else {
      this.runs.splice(at, 0, { low: seq, high: seq, position, step: 0 });
      if (this.runs.length > this.maxRuns) this.settle();
      this.onBreak();
    }
  }

  /** Returns the first run that ends at `seq` or above. */
  private indexOf(seq: number): number {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.runs[middle] as Run).high < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Drops the order of the lowest numbers that together have the first positions. */
  private settle(): void {
    let { count } = this.settled;
    let highest = count;
    let cut = 0;
    let settled = this.settled;
    // Some are kept: numbers that descend are new, too.
    for (const [i, run] of this.runs.slice(0, -1).entries()) {
      count += sizeOf(run);
      highest = Math.max(highest, run.position + sizeOf(run) - 1);
      if (count !== highest) continue;
      cut = i + 1;
      settled = { last: run.high, count };
      if (cut > this.runs.length / 2) break;
    }
    if (cut === 0)
      throw protocolError("the server's event numbers do not tell repeated events from new ones");
    this.settled = settled;
    this.runs.splice(0, cut);
  }
}

/**
 * The orders of the executions that were read last, up to a number of executions and of breaks in all of them. A reader keeps its own order for as long as it
 * reads.
 */
export class EventOrders {
  private readonly known = new Map<string, EventOrder>();

  constructor(private readonly maxRuns = MAX_ALL_RUNS) {}

  /** Returns the order of an execution, whose id is unique on the server. */
  of(execId: string): EventOrder {
    const order = this.known.get(execId) ?? new EventOrder(MAX_RUNS, () => this.trim());
    this.known.delete(execId);
    this.known.set(execId, order);
    this.trim();
    return order;
  }

  /** Number of breaks that all orders remember. */
  get breaks(): number {
    let all = 0;
    for (const { breaks } of this.known.values()) all += breaks;
    return all;
  }

  /** Drops the orders that were read longest ago. */
  private trim(): void {
    let all = this.breaks;
    for (const [oldest, { breaks }] of this.known) {
      if (this.known.size <= MAX_ORDERS && all <= this.maxRuns) break;
      this.known.delete(oldest);
      all -= breaks;
    }
  }
}

function isNext(run: Run, position: number): boolean {
  return run.position + sizeOf(run) === position;
}

function sizeOf({ low, high }: Run): number {
  return high - low + 1;
}
