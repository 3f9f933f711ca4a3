/**
 * Passes on the HTTP/1.1 requests of a program in a box, with the values of their headers rewritten. What cannot be told apart with certainty is refused, since a server that reads it in
 * another way would get a request that was never looked at. Source: RFC 9112.
 */
import type { ByteReader } from "../../../util/byte-reader.js";
import {
  bodyPieces,
  bytesOf,
  framingOf,
  type Header,
  PIECE_BYTES,
  RefusedRequest,
  readHead,
  requireHost,
  valuesOf,
} from "../http/requests.js";

const HTTPS_PORT = 443;
/** Methods by which a server returns the headers of a request. */
const ECHOES = /^(?:TRACE|TRACK)$/i;

/** Options of {@link passRequests}. */
export interface PassOptions {
  /** Name of the only server that requests may be for. */
  host: string;
  /** Returns a header's value as it is to be sent. */
  rewrite(header: Header): string;
}

/**
 * Passes requests on until there are no more, or until one asks for another protocol; from then on, all bytes as they are. Resolves when the program has ended its side.
 *
 * @throws {RefusedRequest} when a request is not for the host, or not in order
 */
export async function passRequests(
  reader: ByteReader,
  to: WritableStreamDefaultWriter<Uint8Array>,
  options: PassOptions,
): Promise<void> {
  for (let isFirst = true; ; isFirst = false) {
    try {
      if (!(await passRequest(reader, to, options))) return;
    } catch (error) {
      if (error instanceof RefusedRequest) error.isLater = !isFirst;
      throw error;
    }
  }
}

/** Passes a request on. Resolves to false when no other one follows. */
async function passRequest(
  reader: ByteReader,
  to: WritableStreamDefaultWriter<Uint8Array>,
  { host, rewrite }: PassOptions,
): Promise<boolean> {
  const head = await readHead(reader);
  if (!head) return false;
  if (ECHOES.test(head.method))
    throw new RefusedRequest(400, "TRACE would return the secrets of the request");
  requireHost(head.headers, host, HTTPS_PORT);
  const framing = framingOf(head.headers);
  const isWebSocket = valuesOf(head.headers, "upgrade").some((value) => /^websocket$/i.test(value));
  // Any other protocol would be one that is not looked into. Servers that offer one do without.
  const kept = head.headers.filter(({ name }) => isWebSocket || name.toLowerCase() !== "upgrade");
  const headers = kept.map((header) => ({ ...header, value: rewrite(header) }));
  await to.write(encodeHead(head.line, headers));
  if (isWebSocket) await passRest(reader, to);
  else if (framing === "chunked") await passChunks(reader, to);
  else for await (const piece of bodyPieces(reader, framing)) await to.write(piece);
  return !isWebSocket;
}

function encodeHead(line: string, headers: readonly Header[]): Uint8Array {
  const lines = [line, ...headers.map(({ name, value }) => `${name}: ${value}`), "", ""];
  return bytesOf(lines.join("\r\n"));
}

async function passRest(reader: ByteReader, to: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  for (let piece = await reader.some(PIECE_BYTES); piece; piece = await reader.some(PIECE_BYTES))
    await to.write(piece);
}

async function passChunks(reader: ByteReader, to: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  const trailers: string[] = [];
  for await (const piece of bodyPieces(reader, "chunked", trailers)) {
    await to.write(bytesOf(`${piece.byteLength.toString(16)}\r\n`));
    await to.write(piece);
    await to.write(bytesOf("\r\n"));
  }
  await to.write(bytesOf(["0", ...trailers, "", ""].join("\r\n")));
}
