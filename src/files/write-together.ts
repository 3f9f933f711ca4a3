import { BoxRunError, isBoxRunError } from "../backend/errors.js";
import { following, untilAborted } from "../util/abort.js";
import type { Entry } from "./files-to-write.js";

/** Number of files that are on their way at once: enough to hide a server's answers, and few enough for its connections. */
const AT_ONCE = 6;

/**
 * Writes files, some at a time. Rejects with the first error, which names the path, or with the signal's reason; what has not been written is given up then,
 * and its sources are canceled.
 */
export async function writeTogether(
  entries: readonly Entry[],
  signal: AbortSignal | undefined,
  write: (entry: Entry, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { life, end } = following(signal);
  const left = [...entries];
  const work = async () => {
    for (let entry = left.shift(); entry; entry = left.shift()) {
      const { path } = entry;
      // Each has a signal of its own: runtimes warn of many listeners on one.
      const own = following(life.signal);
      const written = write(entry, own.life.signal).catch((error) => {
        // The others fail with what this one failed with.
        const reason = life.signal.aborted ? life.signal.reason : withPath(error, path);
        life.abort(reason);
        throw reason;
      });
      await written.finally(own.end);
    }
  };
  try {
    life.signal.throwIfAborted();
    await untilAborted(Promise.all(Array.from({ length: AT_ONCE }, work)), life.signal);
  } catch (error) {
    for (const { data } of left.splice(0))
      if (data instanceof ReadableStream) data.cancel(error).catch(() => {});
    throw error;
  } finally {
    end();
  }
}

/** Returns the error of a write, naming the path. An error of the caller's own source stays as it is. */
function withPath(error: unknown, path: string): unknown {
  if (!isBoxRunError(error) || error.message.includes(path)) return error;
  const { code, status, retryable, hint, method, path: route } = error;
  const message = hint ? error.message.replace(` (${hint})`, "") : error.message;
  return new BoxRunError(code, `write ${path}: ${message}`, {
    cause: error,
    retryable,
    ...(status !== undefined && { status }),
    ...(hint !== undefined && { hint }),
    ...(method !== undefined && { method }),
    ...(route !== undefined && { path: route }),
  });
}
