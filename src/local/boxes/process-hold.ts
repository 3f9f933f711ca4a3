import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";

/** Longest time that a finished script waits until its writes are stored: on a slow disk, all that a guest holds in memory. */
const STORE_DEADLINE_MS = 60_000;

/** Runs work, and keeps the process alive meanwhile. */
export type Hold = <T>(work: () => Promise<T>) => Promise<T>;

/** Keeps the process alive while something that a caller waits for is pending, and then until what it wrote is stored. */
export class ProcessHold {
  private holders = 0;
  /** Counts how often the last holder has left. Of those that wait for the store, only the latest lets the process end. */
  private lettingGo = 0;

  /** `hold` keeps the process alive, or lets it end. `stored` returns a promise that resolves when all writes are stored; undefined when they are, or will never be. */
  constructor(
    private readonly hold: (held: boolean) => void,
    private readonly stored: () => Promise<void> | undefined,
  ) {}

  /** Holds while `work` is pending. */
  readonly during: Hold = async (work) => {
    if (this.holders++ === 0) this.hold(true);
    try {
      return await work();
    } finally {
      if (--this.holders === 0) void this.letGo();
    }
  };

  private async letGo(): Promise<void> {
    const turn = ++this.lettingGo;
    const stored = this.stored();
    if (stored) {
      const late = deferred();
      const stop = startTimer(STORE_DEADLINE_MS, late.resolve);
      await Promise.race([stored, late.promise]);
      stop();
    }
    if (this.holders === 0 && turn === this.lettingGo) this.hold(false);
  }
}

/** Passes items on, and keeps the process alive while the next one is awaited. */
export async function* heldEach<T>(hold: Hold, items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await hold(() => iterator.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
