import { invalid } from "../backend/errors.js";

/** Bytes from the caller, in any of the forms that JavaScript has for them. Text is sent as UTF-8. */
export type Source = string | Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** As much as a server takes of stdin in one request. */
const PIECE_BYTES = 256 * 1024;

/** A source as a stream of bytes, and its size in bytes where that is known. VALIDATION_ERROR for anything else. */
export function toStream(source: Source): { stream: ReadableStream<Uint8Array>; size: number | null } {
  if (typeof source === "string") return fromBytes(new TextEncoder().encode(source));
  if (source instanceof Uint8Array) return fromBytes(source);
  if (source instanceof ArrayBuffer) return fromBytes(new Uint8Array(source));
  if (source instanceof Blob) return { stream: inPieces(source.stream()), size: source.size };
  if (source instanceof ReadableStream) return { stream: source, size: null };
  throw invalid("a source (of an upload, or stdin) must be a string, bytes, a Blob or a ReadableStream");
}

function fromBytes(bytes: Uint8Array): { stream: ReadableStream<Uint8Array>; size: number } {
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  return { stream: inPieces(stream), size: bytes.byteLength };
}

/** So that whoever counts them or waits for them sees them go: some runtimes give a Blob as one. */
function inPieces(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        for (let at = 0; at < chunk.byteLength; at += PIECE_BYTES)
          controller.enqueue(chunk.subarray(at, at + PIECE_BYTES));
      },
    }),
  );
}
