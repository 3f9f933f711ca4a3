import { invalid } from "../../backend/errors.js";
import { following } from "../../util/abort.js";
import { startTimer } from "../../util/timer.js";
import type { Call } from "./call.js";

/** Time in milliseconds that closing waits for requests that clean up. */
const CLEAN_UP_MS = 5000;

/** The calls of a client that are under way, and their end. */
export class OpenCalls {
  private readonly calls = new Map<AbortController, Call>();
  private readonly cleanUps = new Set<Promise<unknown>>();
  private readonly closing = new AbortController();
  private over = false;

  /** Signal that aborts when this client closes. */
  get life(): AbortSignal {
    return this.closing.signal;
  }

  /** Begins a call, which ends with its caller's signal or with this client. */
  begin(call: Call): { life: AbortController; end: () => void } {
    if (this.over || (this.life.aborted && call.outlives !== "late")) throw invalid("this client was closed");
    const { signal } = call;
    signal?.throwIfAborted();
    const { life, end } = following(signal);
    this.calls.set(life, call);
    return {
      life,
      end: () => {
        end();
        this.calls.delete(life);
      },
    };
  }

  /** Makes closing wait for `work`, which consists of calls that outlive the client. */
  cleanUp<T>(work: Promise<T>): Promise<T> {
    const done = work.catch(() => {});
    this.cleanUps.add(done);
    done.then(() => this.cleanUps.delete(done));
    return work;
  }

  /** Ends all calls; those that clean up get a moment more. Later calls are refused. */
  async close(): Promise<void> {
    const reason = invalid("this client was closed");
    this.closing.abort(reason);
    for (const [life, { outlives }] of this.calls) if (!outlives) life.abort(reason);
    const stop = startTimer(CLEAN_UP_MS, () => {
      this.over = true;
      for (const life of this.calls.keys()) life.abort(reason);
    });
    await Promise.all(this.cleanUps);
    stop();
  }
}
