import { whenAborted } from "./abort.js";

/**
 * Starts a timer that does not keep a Node process alive by itself. Returns a function that stops it.
 */
export function startTimer(ms: number, onElapsed: () => void): () => void {
  const timer = setTimeout(onElapsed, ms) as number | { unref(): void };
  if (typeof timer === "object") timer.unref();
  return () => clearTimeout(timer as number);
}

/** Resolves after `ms` milliseconds, or rejects with the signal's reason. Keeps a Node process alive, since a caller waits for it. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      ignoreSignal();
      resolve();
    }, ms);
    const ignoreSignal = whenAborted(signal, (reason) => {
      clearTimeout(timer);
      reject(reason);
    });
  });
}
