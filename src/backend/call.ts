import { untilAborted } from "../util/abort.js";
import { requireSignal } from "./validate.js";

/** Options of every call that waits for a backend. */
export interface CallOptions {
  /**
   * Aborts the wait: the call rejects at once with the signal's reason. A call that only asks for something is given up. A change that has begun, such as the
   * removal of a box, may still be made. @default none
   */
  signal?: AbortSignal;
}

/** Makes a call that its caller can leave. `call` is not made at all when the signal has aborted. */
export async function withSignal<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  requireSignal(signal);
  signal?.throwIfAborted();
  return untilAborted(call(), signal);
}

/** Returns the options for a backend, which has them without undefined values. */
export function callOptions(signal: AbortSignal | undefined): CallOptions {
  return signal ? { signal } : {};
}
