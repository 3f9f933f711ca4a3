import { invalid } from "../backend/errors.js";
import { shown } from "../backend/validate.js";

const CRLF = new TextEncoder().encode("\r\n");
const LAST_CHUNK = new TextEncoder().encode("0\r\n\r\n");

/** Body of a request: bytes, whose number is told, or a stream, which is sent in chunks unless its length is known. */
export interface Body {
  bytes?: Uint8Array;
  stream?: ReadableStream<Uint8Array>;
  /** Number of bytes that the stream will yield, in bytes. */
  length?: number;
  /** Media type that goes with it, if the caller names none. */
  type: string | null;
}

/** Reads what `fetch` takes as a body. Small servers cannot read chunks, so that everything but a stream is sent by its length. */
export async function bodyOf(given: unknown): Promise<Body | undefined> {
  if (given === undefined || given === null) return undefined;
  if (given instanceof ReadableStream) return { stream: given, type: null };
  const isKnown =
    typeof given === "string" ||
    given instanceof ArrayBuffer ||
    ArrayBuffer.isView(given) ||
    given instanceof Blob ||
    given instanceof URLSearchParams ||
    given instanceof FormData;
  if (!isKnown)
    throw invalid(`body must be text, bytes, a Blob, a form or a ReadableStream, got ${shown(given)}`);
  const response = new Response(given as BodyInit);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { bytes, type: response.headers.get("content-type") };
}

/** Sends a body, of a stream what its reader yields. Rejects when its source fails; a server that takes no more is no error, since it may have answered. */
export async function sendBody(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  body: Body | undefined,
  source: ReadableStreamDefaultReader<Uint8Array> | undefined,
): Promise<void> {
  if (body?.bytes && body.bytes.byteLength > 0) await writer.write(body.bytes).catch(() => {});
  if (!source) return;
  const isCounted = body?.length !== undefined;
  let isTaken = true;
  const write = (bytes: Uint8Array) =>
    writer.write(bytes).catch(() => {
      isTaken = false;
    });
  try {
    while (isTaken) {
      const { done, value } = await source.read();
      if (done) return isCounted ? undefined : void (await write(LAST_CHUNK));
      if (!(value instanceof Uint8Array)) throw invalid("a byte stream must yield Uint8Arrays");
      if (value.byteLength === 0) continue;
      if (!isCounted) await write(new TextEncoder().encode(`${value.byteLength.toString(16)}\r\n`));
      await write(value);
      if (!isCounted) await write(CRLF);
    }
  } finally {
    source.cancel().catch(() => {});
  }
}
