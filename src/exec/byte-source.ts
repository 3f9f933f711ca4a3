import { invalid } from "../backend/errors.js";
import { shown } from "../backend/validate.js";

/** Bytes from the caller, in any of the forms that JavaScript has for them. Text is sent as UTF-8; for {@link BoxHandle.upload} a string is a local path. */
export type Source = string | Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** Largest piece of stdin that one request to a server carries. */
const PIECE_BYTES = 256 * 1024;

/** Returns a source as a stream of bytes, with its size in bytes where that is known. @throws {BoxRunError} VALIDATION_ERROR when it is not a source */
export function toStream(source: Source): { stream: ReadableStream<Uint8Array>; size: number | null } {
  if (typeof source === "string") return fromBytes(new TextEncoder().encode(source));
  if (source instanceof Uint8Array) return fromBytes(source);
  if (source instanceof ArrayBuffer) return fromBytes(new Uint8Array(source));
  if (source instanceof Blob) return { stream: inPieces(source.stream()), size: source.size };
  if (source instanceof ReadableStream) return { stream: source, size: null };
  throw invalid(
    `an upload or stdin must be a string, bytes, a Blob or a ReadableStream, got ${shown(source)}`,
    typeof (source as { pipe?: unknown } | null)?.pipe === "function"
      ? "Readable.toWeb makes one of a stream of Node"
      : undefined,
  );
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

/** Cuts a stream into pieces, so that progress can be seen: some runtimes deliver a Blob as one piece. */
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
