import type { BoxInfo, ExecInfo } from "../backend.js";
import type { EventNumbering } from "./cursor-numbering.js";
import { EventOrders } from "./event-order.js";
import { type Outcome, outcomeOf } from "./exec-outcome.js";
import { FailedStarts, isFailedStart } from "./failed-starts.js";
import { ReplayNumbering } from "./replay-numbering.js";

/** What only servers of the published API need to be told of as any other backend. A file of its own: a client of ours loads none of it. */
export class PublishedRules {
  readonly failedStarts = new FailedStarts();
  readonly isFailedStart = isFailedStart;
  private readonly orders = new EventOrders();

  /** See {@link outcomeOf}. */
  outcomeOf(info: ExecInfo, askBox: () => Promise<BoxInfo>): Promise<Outcome> {
    return outcomeOf(info, askBox);
  }

  /** How the events of an execution are numbered for one reader. */
  numbering(execId: string, after: number, what: string): EventNumbering {
    return new ReplayNumbering(this.orders.of(execId), after, what);
  }
}
