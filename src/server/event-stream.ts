import { KEEP_ALIVE } from "../contract/sse-encode.js";
import { within } from "../util/within.js";

/** Options of {@link eventStream}. */
interface EventStreamOptions<T> {
  /** Writes an event; empty text is not sent. */
  encode(event: T): string;
  /** Time of silence in milliseconds after which a comment is sent. */
  keepAliveMs: number;
  /** Aborted when the reader leaves. */
  left: AbortController;
  /** Text to begin with, so that the reader has the answer before the first event. @default "" */
  first?: string;
  /** Writes the end: an error, or undefined after the last event. @default an error breaks the stream off */
  end?(error: unknown): string;
}

/** Creates a response of server-sent events, which are read at the pace of the response's own reader. */
export function eventStream<T>(
  source: AsyncIterable<T>,
  { encode, keepAliveMs, left, first = "", end }: EventStreamOptions<T>,
): Response {
  const events = source[Symbol.asyncIterator]();
  const utf8 = new TextEncoder();
  let begin = first;
  let next: Promise<IteratorResult<T>> | undefined;

  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const send = (text: string) => controller.enqueue(utf8.encode(text));
    const close = (error?: unknown) => {
      if (end) send(end(error));
      controller.close();
    };
    if (begin !== "") {
      send(begin);
      begin = "";
      return;
    }
    for (;;) {
      next ??= events.next();
      let result: IteratorResult<T> | undefined;
      try {
        result = await within(keepAliveMs, next);
      } catch (error) {
        if (!end) throw error;
        return close(error);
      }
      if (!result) return send(KEEP_ALIVE);
      next = undefined;
      if (result.done) return close();
      const text = encode(result.value);
      if (text !== "") return send(text);
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
