/**
 * A timer that does not keep a Node process alive by itself. Returns what stops it.
 */
export function startTimer(ms: number, onElapsed: () => void): () => void {
  const timer = setTimeout(onElapsed, ms) as number | { unref(): void };
  if (typeof timer === "object") timer.unref();
  return () => clearTimeout(timer as number);
}
