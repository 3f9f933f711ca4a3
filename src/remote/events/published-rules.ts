import type { BoxInfo, ExecInfo } from "../../backend/backend.js";
import type { EventNumbering } from "./cursor-numbering.js";
import { EventOrders } from "./event-order.js";
import { type Outcome, outcomeOf } from "./exec-outcome.js";
import { FailedStarts, isFailedStart } from "./failed-starts.js";
import { ReplayNumbering } from "./replay-numbering.js";

/** Rules that only servers of the published API need, and that are loaded only for those. */
export class PublishedRules {
  readonly failedStarts = new FailedStarts();
  readonly isFailedStart = isFailedStart;
  private readonly orders = new EventOrders();

  /** See {@link outcomeOf}. */
  outcomeOf(info: ExecInfo, askBox: () => Promise<BoxInfo>): Promise<Outcome> {
    return outcomeOf(info, askBox);
  }

  /** Makes the numbering of an execution's events for one reader. */
  numbering(execId: string, after: number, what: string): EventNumbering {
    return new ReplayNumbering(this.orders.of(execId), after, what);
  }
}
