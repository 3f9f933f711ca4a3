import { untilAborted } from "../util/abort.js";
import { invalid } from "./errors.js";
import { shown } from "./validate.js";

/** Options of every call that waits for a backend. */
export interface CallOptions {
  /**
   * Aborts the wait: the call rejects at once with the signal's reason. A call that only asks for something is given up. A change that has begun, such as the
   * removal of a box, may still be made. @default none
   */
  signal?: AbortSignal;
}

/** Checks that a signal is one. Signals of other realms are, too. @throws {BoxRunError} VALIDATION_ERROR when it is not */
export function requireSignal(signal: unknown): void {
  if (signal === undefined || typeof (signal as AbortSignal | null)?.throwIfAborted === "function") return;
  throw invalid(`signal must be an AbortSignal, got ${shown(signal)}`);
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
