import type { Backend } from "../backend/backend.js";
import { EventEncoder, type EventEncoding } from "../contract/sse-encode.js";
import { eventStream } from "./event-stream.js";

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
  const events = backend.execEvents(target.boxId, target.execId, {
    // The decoder needs the text before the cursor, for a character that ends after it.
    after: encoding.bytes ? encoding.after : 0,
    signal: left.signal,
  });
  const encoder = new EventEncoder(encoding);
  return eventStream(events, { encode: (event) => encoder.encode(event), keepAliveMs, left });
}
