/**
 * Creates a controller that aborts with the first of these signals. Call `end` when it is no longer needed: unlike AbortSignal.any, it then leaves no listeners
 * on long-lived signals.
 */
export function following(...signals: (AbortSignal | undefined)[]): { life: AbortController; end(): void } {
  const life = new AbortController();
  const onAbort = ({ target }: { target: unknown }) => life.abort((target as AbortSignal).reason);
  for (const signal of signals) {
    if (signal?.aborted) onAbort({ target: signal });
    signal?.addEventListener("abort", onAbort);
  }
  return {
    life,
    end: () => {
      for (const signal of signals) signal?.removeEventListener("abort", onAbort);
    },
  };
}

/** Calls back with the reason once `signal` aborts, if it has not yet. Returns a function that stops listening. */
export function whenAborted(
  signal: AbortSignal | undefined,
  callback: (reason: unknown) => void,
): () => void {
  const listener = () => callback(signal?.reason);
  signal?.addEventListener("abort", listener, { once: true });
  return () => signal?.removeEventListener("abort", listener);
}

/**
 * Settles as `promise` does, or rejects with the signal's reason as soon as it aborts, whichever comes first. The work behind
 * `promise` goes on; ending it is up to the caller.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  if (signal.aborted) {
    promise.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise<T>((resolve, reject) => {
    promise.then(resolve, reject).finally(whenAborted(signal, reject));
  });
}

/** Calls back once a writable stream is aborted, even while a write is under way: its sink's own `abort` waits for that, and it may never end. */
export function whenStreamAborted(
  controller: WritableStreamDefaultController,
  callback: (reason: unknown) => void,
): void {
  // Not in Node's types, and not in every runtime.
  const { signal } = controller as { signal?: AbortSignal };
  whenAborted(signal, callback);
}
