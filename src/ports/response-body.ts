import type { ByteReader } from "../util/byte-reader.js";
import { chunkSizeOf, lengthOf } from "../util/http-syntax.js";
import { cut, wrong } from "./head.js";

/** Largest piece of a body that is given to its reader at once. */
const PIECE_BYTES = 256 * 1024;
const MAX_CHUNK_LINE = 4096;
const MAX_TRAILER_BYTES = 64 * 1024;
const DECODED = ["gzip", "deflate"] as const;

/**
 * Streams the body of an answer: in chunks, by its length, or to the end of the connection. `finish` is called once, when it has been read, has failed or was
 * canceled. With `inflate`, what is compressed by gzip or deflate is inflated, and the two headers that no longer fit are dropped.
 */
export function responseBody(
  reader: ByteReader,
  headers: Headers,
  { finish, signal, inflate }: { finish: () => void; signal: AbortSignal | undefined; inflate: boolean },
): ReadableStream<Uint8Array> {
  const pieces = piecesOf(reader, headers);
  let failed: unknown;
  const raw = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await pieces.next();
          if (!done) return controller.enqueue(value);
          finish();
          controller.close();
        } catch (error) {
          finish();
          failed = signal?.aborted ? signal.reason : error;
          controller.error(failed);
        }
      },
      cancel: () => finish(),
    },
    { highWaterMark: 0 },
  );
  const encoding = headers.get("content-encoding")?.trim().toLowerCase();
  const format = DECODED.find((one) => one === encoding || `x-${one}` === encoding);
  if (!format || !inflate) return raw;
  headers.delete("content-encoding");
  headers.delete("content-length");
  const inflated = raw
    .pipeThrough(new DecompressionStream(format) as TransformStream<Uint8Array, Uint8Array>)
    .getReader();
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await inflated.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch {
          controller.error(failed ?? wrong(`its body is not in ${format}`));
        }
      },
      cancel: (reason) => inflated.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function piecesOf(reader: ByteReader, headers: Headers): AsyncGenerator<Uint8Array, void, undefined> {
  const coding = headers.get("transfer-encoding");
  if (coding !== null) {
    if (coding.trim().toLowerCase() !== "chunked")
      throw wrong(`its transfer-encoding is ${JSON.stringify(coding)}`);
    return chunks(reader);
  }
  const length = headers.get("content-length");
  if (length === null) return untilEnd(reader);
  // Repeated, it is joined by commas (RFC 9110, 8.6).
  const [first, ...others] = length.split(",").map((one) => one.trim());
  const count = lengthOf(first!);
  if (count === undefined || others.some((other) => other !== first))
    throw wrong(`its content-length is ${JSON.stringify(length)}`);
  return counted(reader, count);
}

async function* untilEnd(reader: ByteReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (let piece = await reader.some(PIECE_BYTES); piece; piece = await reader.some(PIECE_BYTES)) yield piece;
}

async function* counted(reader: ByteReader, count: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let left = count; left > 0; ) {
    const piece = await reader.some(Math.min(left, PIECE_BYTES));
    if (!piece) throw cut();
    left -= piece.byteLength;
    yield piece;
  }
}

async function* chunks(reader: ByteReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const line = await reader.line(MAX_CHUNK_LINE);
    if (line === undefined) throw cut();
    const count = chunkSizeOf(line);
    if (count === undefined) throw wrong("it has a malformed chunk");
    if (count === 0) break;
    yield* counted(reader, count);
    if ((await reader.line(MAX_CHUNK_LINE)) !== "") throw wrong("a chunk is longer than it says");
  }
  for (let left = MAX_TRAILER_BYTES; ; ) {
    const line = await reader.line(left);
    if (line === undefined) throw cut();
    if (line === "") return;
    left -= line.length + 2;
  }
}
