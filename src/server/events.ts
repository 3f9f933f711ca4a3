import type { Backend } from "../backend/backend.js";
import { EventEncoder, type EventEncoding, KEEP_ALIVE } from "../contract/sse-encode.js";
import { within } from "../util/within.js";

/**
 * Creates a response that streams the events of an execution up to its "exit". It reads from the backend at the pace of its own reader, and when that
 * disconnects, it stops reading; the command goes on.
 */
export function eventResponse(
  backend: Backend,
  target: { boxId: string; execId: string },
  { keepAliveMs, ...encoding }: EventEncoding & { keepAliveMs: number },
): Response {
  const left = new AbortController();
  const events = backend
    .execEvents(target.boxId, target.execId, {
      // The decoder needs the text before the cursor, for a character that ends after it.
      after: encoding.bytes ? encoding.after : 0,
      signal: left.signal,
    })
    [Symbol.asyncIterator]();
  const encoder = new EventEncoder(encoding);
  const utf8 = new TextEncoder();
  let next: ReturnType<typeof events.next> | undefined;

  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    for (;;) {
      next ??= events.next();
      const result = await within(keepAliveMs, next);
      if (!result) return controller.enqueue(utf8.encode(KEEP_ALIVE));
      next = undefined;
      if (result.done) return controller.close();
      const text = encoder.encode(result.value);
      if (text !== "") return controller.enqueue(utf8.encode(text));
    }
  };

  const body = new ReadableStream<Uint8Array>(
    {
      pull,
      cancel: async () => {
        left.abort(new Error("the reader has left"));
        next?.catch(() => {});
        await events.return?.();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" },
  });
}
