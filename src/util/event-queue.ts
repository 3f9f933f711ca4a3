import { whenAborted } from "./abort.js";
import { deferred } from "./deferred.js";

/** Number of events that wait for their reader. */
const MAX_WAITING = 4096;

/** Options of an {@link EventQueue}. */
export interface EventQueueOptions<T> {
  /** Event that stands for all that are lost because nobody read them in time: whoever reads it looks at everything again. */
  overflow: T;
  /** Ends the queue: its reader gets the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Events on their way to a reader who may be slower than they come. */
export class EventQueue<T> implements AsyncIterableIterator<T, void, undefined> {
  #waiting: T[] = [];
  #changed = deferred();
  /** Set once no more events come. */
  #ended = false;
  #error: { reason: unknown } | undefined;
  readonly #overflow: T;
  #stop: () => void = () => {};
  readonly #ignoreSignal: () => void;

  constructor({ overflow, signal }: EventQueueOptions<T>) {
    this.#overflow = overflow;
    this.#ignoreSignal = whenAborted(signal, (reason) => {
      this.#waiting = [];
      this.fail(reason);
    });
    if (signal?.aborted) this.fail(signal.reason);
  }

  /** Starts what puts events in, unless the queue has ended. What `start` returns stops it, and is called once, when the queue ends in whatever way. */
  feed(start: () => () => void): this {
    if (!this.#ended) this.#stop = start();
    return this;
  }

  /** Adds an event. */
  push(event: T): void {
    if (this.#ended) return;
    if (this.#waiting.length >= MAX_WAITING) this.#waiting = [this.#overflow];
    this.#waiting.push(event);
    this.#wake();
  }

  /** Ends the queue, once the reader has what is in it. Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#ignoreSignal();
    this.#wake();
    this.#stop();
  }

  /** Ends the queue with an error, once the reader has what is in it. */
  fail(reason: unknown): void {
    if (!this.#ended) this.#error = { reason };
    this.end();
  }

  async next(): Promise<IteratorResult<T, void>> {
    for (;;) {
      const [value] = this.#waiting.splice(0, 1) as [T?];
      if (value !== undefined) return { done: false, value };
      if (this.#error) throw this.#error.reason;
      if (this.#ended) return { done: true, value: undefined };
      await this.#changed.promise;
    }
  }

  async return(): Promise<IteratorResult<T, void>> {
    this.#waiting = [];
    this.#error = undefined;
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Wakes all calls that wait. Those that find nothing wait for the next change together. */
  #wake(): void {
    const changed = this.#changed;
    this.#changed = deferred();
    changed.resolve();
  }
}
