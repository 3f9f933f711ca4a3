import { invalid } from "../backend/errors.js";
import { shown } from "../backend/validate.js";
import { concatBytes } from "../util/bytes.js";
import { deferred } from "../util/deferred.js";
import { startTimer } from "../util/timer.js";

const CRLF = new TextEncoder().encode("\r\n");
const LAST_CHUNK = new TextEncoder().encode("0\r\n\r\n");
/** Most bytes of a request's body that are read ahead, to know their number. */
const MAX_AHEAD_BYTES = 16 * 2 ** 20;
/** Time that a read ahead waits for the next bytes. Those that are in memory come at once. */
const AHEAD_MS = 100;

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

/**
 * Returns the body of a `Request`, which does not tell what it was made of. Its length is what the header says; else one that soon ends is read ahead, so that text, bytes and Blobs are
 * sent by their length here, too.
 */
export async function bodyOfRequest(request: Request): Promise<Body | undefined> {
  // Firefox.
  if (!("body" in request)) {
    const bytes = new Uint8Array(await (request as Request).arrayBuffer());
    return bytes.byteLength > 0 ? { bytes, type: null } : undefined;
  }
  const { body, headers } = request;
  if (!body) return undefined;
  const announced = headers.get("content-length");
  if (announced !== null && /^\d{1,15}$/.test(announced))
    return { stream: body, length: Number(announced), type: null };
  return { ...(await readAhead(body)), type: null };
}

/** Reads a stream to its end, if that comes soon, and else returns one with the same bytes. */
async function readAhead(
  stream: ReadableStream<Uint8Array>,
): Promise<{ bytes: Uint8Array } | { stream: ReadableStream<Uint8Array> }> {
  const reader = stream.getReader();
  const read: Uint8Array[] = [];
  let pending = reader.read();
  for (let bytes = 0; bytes <= MAX_AHEAD_BYTES; pending = reader.read()) {
    const next = await soon(pending);
    if (!next) break;
    if (next.done) return { bytes: concatBytes(read) };
    if (!(next.value instanceof Uint8Array)) throw notBytes();
    read.push(next.value);
    bytes += next.value.byteLength;
  }
  const whole = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const first = read.shift();
        if (first) return controller.enqueue(first);
        const { done, value } = await pending;
        if (done) return controller.close();
        controller.enqueue(value);
        pending = reader.read();
        // Whoever pulls next hears of it.
        pending.catch(() => {});
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return { stream: whole };
}

/** Resolves to the result of a read, or to undefined when it takes longer than a moment. */
async function soon<T>(pending: Promise<T>): Promise<T | undefined> {
  const late = deferred<undefined>();
  const stop = startTimer(AHEAD_MS, () => late.resolve(undefined));
  try {
    return await Promise.race([pending, late.promise]);
  } finally {
    stop();
  }
}

function notBytes(): Error {
  return invalid("a byte stream must yield Uint8Arrays");
}

/** Sends a body, of a stream what its reader yields. Rejects when its source fails; a server that takes no more is no error, since it may have answered. */
export async function sendBody(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  body: Body | undefined,
  source: ReadableStreamDefaultReader<Uint8Array> | undefined,
): Promise<void> {
  if (body?.bytes && body.bytes.byteLength > 0) await writer.write(body.bytes).catch(() => {});
  if (!source) return;
  const length = body?.length;
  const isCounted = length !== undefined;
  let sent = 0;
  let isTaken = true;
  const write = (bytes: Uint8Array) =>
    writer.write(bytes).catch(() => {
      isTaken = false;
    });
  try {
    while (isTaken) {
      const { done, value } = await source.read();
      sent += done ? 0 : (value?.byteLength ?? 0);
      if (isCounted && (done ? sent < length : sent > length))
        throw invalid(`the body must have the ${length} bytes of its content-length, got ${sent}`);
      if (done) return isCounted ? undefined : void (await write(LAST_CHUNK));
      if (!(value instanceof Uint8Array)) throw notBytes();
      if (value.byteLength === 0) continue;
      if (!isCounted) await write(new TextEncoder().encode(`${value.byteLength.toString(16)}\r\n`));
      await write(value);
      if (!isCounted) await write(CRLF);
    }
  } finally {
    source.cancel().catch(() => {});
  }
}
