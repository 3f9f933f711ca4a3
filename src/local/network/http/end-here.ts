import type { ByteConnection } from "../../../network/dialer.js";
import { whenStreamAborted } from "../../../util/abort.js";

const PIPE_BYTES = 64 * 1024;

/**
 * Returns a connection whose far side is served within the process. `life` aborts when the near side resets it, even while nothing is read or written. `serve` never rejects: it cuts the
 * connection instead.
 */
export function endHere(serve: (far: ByteConnection, life: AbortSignal) => Promise<void>): ByteConnection {
  const room = () => new ByteLengthQueuingStrategy({ highWaterMark: PIPE_BYTES });
  const there = new TransformStream<Uint8Array, Uint8Array>({}, room());
  const back = new TransformStream<Uint8Array, Uint8Array>({}, room());
  const life = new AbortController();
  void serve({ readable: there.readable, writable: back.writable }, life.signal);
  return {
    readable: back.readable,
    writable: hearingAborts(there.writable, (reason) => life.abort(reason)),
  };
}

/** Returns a stream that passes everything on, and calls back when it is aborted, though what is being written is never taken. */
function hearingAborts(
  writable: WritableStream<Uint8Array>,
  onAbort: (reason: unknown) => void,
): WritableStream<Uint8Array> {
  const writer = writable.getWriter();
  return new WritableStream({
    start: (controller) => whenStreamAborted(controller, onAbort),
    write: (chunk) => writer.write(chunk),
    close: () => writer.close(),
    abort: (reason) => {
      onAbort(reason);
      return writer.abort(reason);
    },
  });
}

/** Cuts both directions of a connection. */
export function cut({ readable, writable }: ByteConnection, reason: unknown): void {
  readable.cancel(reason).catch(() => {});
  writable.abort(reason).catch(() => {});
}
