import type { Backend } from "../backend/backend.js";
import { EventEncoder, type EventEncoding, KEEP_ALIVE } from "../contract/sse-encode.js";
import { within } from "../util/within.js";

/**
 * The events of an execution as a response that never ends before its "exit" does. It reads from the backend at the pace of its own reader, and a reader that leaves
 * ends the reading, not the command.
 */
export function eventResponse(
  backend: Backend,
  target: { boxId: string; execId: string },
  { keepAliveMs, ...encoding }: EventEncoding & { keepAliveMs: number },
): Response {
  const left = new AbortController();
  const events = backend
    .execEvents(target.boxId, target.execId, {
      // Text before the cursor is needed for the characters that end after it.
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
