import { invalid } from "./errors.js";

/** Bytes from the caller, in any of the forms that JavaScript has for them. Text is sent as UTF-8. */
export type Source = string | Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

/** A source as a stream of bytes, and its size in bytes where that is known. VALIDATION_ERROR for anything else. */
export function toStream(source: Source): { stream: ReadableStream<Uint8Array>; size: number | null } {
  if (typeof source === "string") return fromBytes(new TextEncoder().encode(source));
  if (source instanceof Uint8Array) return fromBytes(source);
  if (source instanceof ArrayBuffer) return fromBytes(new Uint8Array(source));
  if (source instanceof Blob)
    return { stream: source.stream() as ReadableStream<Uint8Array>, size: source.size };
  if (source instanceof ReadableStream) return { stream: source, size: null };
  throw invalid("a source (of an upload, or stdin) must be a string, bytes, a Blob or a ReadableStream");
}

function fromBytes(bytes: Uint8Array): { stream: ReadableStream<Uint8Array>; size: number } {
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
  return { stream, size: bytes.byteLength };
}
