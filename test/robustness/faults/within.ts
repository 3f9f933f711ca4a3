/** What was waited for will never end. */
export class Hung extends Error {}

/** Counts in beats, which a busy process has fewer of: it is given the time that it needs. */
const BEAT_MS = 100;

/** Rejects with {@link Hung} when that takes longer. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    let beats = 0;
    timer = setInterval(() => {
      if (++beats * BEAT_MS > ms) reject(new Hung(`it has not ended after ${ms} ms`));
    }, BEAT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearInterval(timer));
}
