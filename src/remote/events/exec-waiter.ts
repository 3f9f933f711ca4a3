import type { ExecInfo } from "../../backend/backend.js";
import { whenAborted } from "../../util/abort.js";
import { type Deferred, deferred } from "../../util/deferred.js";
import { pause } from "../../util/timer.js";

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2000;

/**
 * Waits for the end of an execution. The API has no call for that, so the server is polled at growing intervals, and at once when a stream of this
 * client has seen the exit. Following the stream instead would transfer all output for nobody, on a plain server from its start, and a server that paces a
 * command by its readers would count it as one.
 */
export class ExecWaiter {
  private readonly waiting = new Map<string, Set<Deferred<void>>>();
  private readonly watchers = new Map<string, Set<() => void>>();

  constructor(
    private readonly server: {
      state: (boxId: string, execId: string, signal?: AbortSignal) => Promise<ExecInfo>;
    },
  ) {}

  /** Resolves to the final state; rejects with the signal's reason. */
  async wait(boxId: string, execId: string, signal: AbortSignal | undefined): Promise<ExecInfo> {
    for (let ms = FIRST_PAUSE_MS; ; ms = Math.min(MAX_PAUSE_MS, ms * 1.5)) {
      const woken = this.listen(boxId, execId);
      try {
        const info = await this.server.state(boxId, execId, signal);
        if (info.status !== "running") return info;
        await pauseOr(ms, woken.promise, signal);
      } finally {
        this.forget(boxId, execId, woken);
      }
    }
  }

  /** Notes that the execution has ended as far as this client has seen: waiters poll at once. */
  wake(boxId: string, execId: string): void {
    for (const { resolve } of this.waiting.get(key(boxId, execId)) ?? []) resolve();
  }

  /** Notes that this client has canceled the execution: waiters poll at once, and readers of its events end. */
  canceled(boxId: string, execId: string): void {
    this.wake(boxId, execId);
    for (const onCancel of this.watchers.get(execId) ?? []) onCancel();
  }

  /** Calls `onCancel` when this client cancels an execution. Returns a function that stops that. */
  onCancel(execId: string, onCancel: () => void): () => void {
    const all = this.watchers.get(execId) ?? new Set();
    this.watchers.set(execId, all.add(onCancel));
    return () => {
      all.delete(onCancel);
      if (all.size === 0) this.watchers.delete(execId);
    };
  }

  private listen(boxId: string, execId: string): Deferred<void> {
    const woken = deferred();
    const all = this.waiting.get(key(boxId, execId)) ?? new Set();
    this.waiting.set(key(boxId, execId), all.add(woken));
    return woken;
  }

  private forget(boxId: string, execId: string, woken: Deferred<void>): void {
    const all = this.waiting.get(key(boxId, execId));
    all?.delete(woken);
    if (all?.size === 0) this.waiting.delete(key(boxId, execId));
  }
}

function key(boxId: string, execId: string): string {
  return `${boxId} ${execId}`;
}

async function pauseOr(ms: number, woken: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  const over = new AbortController();
  const ignoreSignal = whenAborted(signal, (reason) => over.abort(reason));
  const paused = pause(ms, over.signal);
  paused.catch(() => {});
  try {
    await Promise.race([paused, woken]);
  } finally {
    over.abort();
    ignoreSignal();
  }
}
