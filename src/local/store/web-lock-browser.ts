import type { BoxRunError } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";

/** Time to wait for a lock that pages and Workers hold for milliseconds. Beyond it, a page or Worker hangs. */
const DEADLINE_MS = 10_000;

/** Runs `work` while holding a Web Lock, which others may have to release first. Rejects with the result of `late` when they do not. */
export async function withWebLock<T>(
  name: string,
  work: () => Promise<T>,
  late: () => BoxRunError,
): Promise<T> {
  const waiting = new AbortController();
  const stop = startTimer(DEADLINE_MS, () => waiting.abort());
  let granted = false;
  try {
    return (await navigator.locks.request(name, { signal: waiting.signal }, () => {
      granted = true;
      stop();
      return work();
    })) as T;
  } catch (error) {
    stop();
    throw waiting.signal.aborted && !granted ? late() : error;
  }
}

/** Takes a Web Lock as {@link withWebLock} does, until the function that it resolves to is called or the page or Worker ends. */
export async function holdWebLock(name: string, late: () => BoxRunError): Promise<() => Promise<void>> {
  const taken = deferred();
  const released = deferred();
  const work = () => {
    taken.resolve();
    return released.promise;
  };
  const held = withWebLock(name, work, late);
  held.catch(taken.reject);
  await taken.promise;
  return () => {
    released.resolve();
    return held;
  };
}
