import type { BoxHandle } from "./box.js";

/** Removes a box that its creator has no more use for, with a second try. Resolves when that is over, and at once when the signal has aborted; never rejects. */
export async function discardBox(box: BoxHandle, signal: AbortSignal | undefined): Promise<void> {
  const remove = () => box.remove({ force: true });
  const removed = remove()
    .catch(remove)
    .catch(() => {});
  if (!signal?.aborted) await removed;
}

/** Cancels a source that is a stream nobody reads, so that whoever feeds it stops. */
export function cancelUnread(source: unknown): void {
  if (source instanceof ReadableStream && !source.locked) source.cancel().catch(() => {});
}
