/**
 * Passes on the HTTP/1.1 requests of a program in a box, with the values of their headers rewritten. What cannot be told apart with certainty is refused, since a server that reads it in
 * another way would get a request that was never looked at. Source: RFC 9112.
 */
import { fromBase64, toBase64 } from "../../../util/base64.js";
import { ByteReader } from "../../../util/byte-reader.js";
import { chunkSizeOf, headerOf, lengthOf } from "../../../util/http-syntax.js";

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_CHUNK_LINE = 4096;
const PIECE_BYTES = 64 * 1024;
const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ \/[\x21-\x7e]* HTTP\/1\.[01]$/;
const ASTERISK = /^OPTIONS \* HTTP\/1\.1$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Methods by which a server returns the headers of a request. */
const ECHOES = /^(?:TRACE|TRACK) /i;
/** Headers that carry secrets. Servers repeat others in their answers, "origin" for one, from which a program in the box could read the value. */
const CARRIES_SECRETS =
  /^(?:authorization|cookie|.*(?:api-?key|-key|token|auth|secret|passw|credential|signature).*)$/i;
const REPEATED = /^(?:sec-|access-control-)/i;
const BASIC = /^Basic +([A-Za-z0-9+/]+=*)$/i;

/** A request that is not passed on, with the answer that its program gets. */
export class RefusedRequest extends Error {
  override name = "RefusedRequest";
  /** Whether an earlier request of the connection was passed on: an answer would be taken for the answer to that one. */
  isLater = false;

  constructor(
    readonly status: 400 | 421 | 431,
    message: string,
  ) {
    super(message);
  }
}

interface Header {
  name: string;
  value: string;
}

/** Returns a reader of requests, for {@link passRequests}. */
export function requestReader(from: ReadableStream<Uint8Array>): ByteReader {
  return new ByteReader(from, {
    tooLong: () => new RefusedRequest(431, "a line of the request is too long"),
    cut: () => new RefusedRequest(400, "the request is cut"),
  });
}

/** Options of {@link passRequests}. */
export interface PassOptions {
  /** Name of the only server that requests may be for. */
  host: string;
  /** Returns a header's value as it is to be sent. */
  rewrite(value: string): string;
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
  requireHost(head.headers, host);
  const body = bodyOf(head.headers);
  const isWebSocket = valuesOf(head.headers, "upgrade").some((value) => /^websocket$/i.test(value));
  // Any other protocol would be one that is not looked into. Servers that offer one do without.
  const kept = head.headers.filter(({ name }) => isWebSocket || name.toLowerCase() !== "upgrade");
  const headers = kept.map((header) => ({ ...header, value: rewriteHeader(header, rewrite) }));
  await to.write(encodeHead(head.line, headers));
  if (isWebSocket) await passRest(reader, to);
  else if (body === "chunked") await passChunks(reader, to);
  else await passCount(reader, to, body);
  return !isWebSocket;
}

async function readHead(reader: ByteReader): Promise<{ line: string; headers: Header[] } | undefined> {
  let left = MAX_HEAD_BYTES;
  const next = async () => {
    const line = await reader.line(left);
    if (line !== undefined) left -= line.length + 2;
    return line;
  };
  let line = await next();
  // An empty line before a request is ignored: RFC 9112, 2.2.
  if (line === "") line = await next();
  if (line === undefined) return undefined;
  if (!REQUEST_LINE.test(line) && !ASTERISK.test(line))
    throw new RefusedRequest(400, "the request does not begin with a request line of HTTP/1.1");
  if (ECHOES.test(line)) throw new RefusedRequest(400, "TRACE would return the secrets of the request");
  const headers: Header[] = [];
  for (;;) {
    const text = await next();
    if (text === undefined) throw new RefusedRequest(400, "the request is cut");
    if (text === "") return { line, headers };
    const header = headerOf(text);
    if (!header || !VALUE.test(header.value))
      throw new RefusedRequest(400, "a header of the request is malformed");
    headers.push(header);
  }
}

function valuesOf(headers: readonly Header[], name: string): string[] {
  return headers.filter((header) => header.name.toLowerCase() === name).map(({ value }) => value);
}

function requireHost(headers: readonly Header[], host: string): void {
  const hosts = valuesOf(headers, "host");
  if (hosts.length === 1 && hosts[0]!.toLowerCase().replace(/:443$/, "") === host) return;
  throw new RefusedRequest(421, `this connection is for ${host} alone`);
}

/** Returns how a request's body is framed: its length, or in chunks. */
function bodyOf(headers: readonly Header[]): number | "chunked" {
  const codings = valuesOf(headers, "transfer-encoding");
  const lengths = valuesOf(headers, "content-length");
  if (codings.length > 0) {
    if (codings.length > 1 || codings[0]!.toLowerCase() !== "chunked" || lengths.length > 0)
      throw new RefusedRequest(400, "the body of the request is framed in more than one way");
    return "chunked";
  }
  const length = lengthOf(lengths[0] ?? "0");
  if (lengths.length > 1 || length === undefined)
    throw new RefusedRequest(400, "the request has an invalid Content-Length");
  return length;
}

/** Rewrites the value of a header that carries secrets; of "Basic", the user's name and password, which are encoded. */
function rewriteHeader({ name, value }: Header, rewrite: (value: string) => string): string {
  if (!CARRIES_SECRETS.test(name) || REPEATED.test(name)) return value;
  const [, encoded] = (name.toLowerCase() === "authorization" && BASIC.exec(value)) || [];
  if (encoded === undefined) return rewrite(value);
  try {
    const plain = new TextDecoder("utf-8", { fatal: true }).decode(fromBase64(encoded));
    const rewritten = rewrite(plain);
    return rewritten === plain ? value : `Basic ${toBase64(new TextEncoder().encode(rewritten))}`;
  } catch {
    return value;
  }
}

function encodeHead(line: string, headers: readonly Header[]): Uint8Array {
  const lines = [line, ...headers.map(({ name, value }) => `${name}: ${value}`), "", ""];
  return bytesOf(lines.join("\r\n"));
}

async function passRest(reader: ByteReader, to: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  for (let piece = await reader.some(PIECE_BYTES); piece; piece = await reader.some(PIECE_BYTES))
    await to.write(piece);
}

async function passCount(
  reader: ByteReader,
  to: WritableStreamDefaultWriter<Uint8Array>,
  count: number,
): Promise<void> {
  for (let left = count; left > 0; ) {
    const piece = await reader.some(Math.min(left, PIECE_BYTES));
    if (!piece) throw new RefusedRequest(400, "the body of the request is cut");
    left -= piece.byteLength;
    await to.write(piece);
  }
}

async function passChunks(reader: ByteReader, to: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  for (;;) {
    const count = chunkSizeOf((await reader.line(MAX_CHUNK_LINE)) ?? "");
    if (count === undefined) throw new RefusedRequest(400, "a chunk of the request's body is malformed");
    await to.write(bytesOf(`${count.toString(16)}\r\n`));
    if (count === 0) break;
    await passCount(reader, to, count);
    if ((await reader.line(MAX_CHUNK_LINE)) !== "")
      throw new RefusedRequest(400, "a chunk of the request's body is longer than it says");
    await to.write(bytesOf("\r\n"));
  }
  for (let left = MAX_HEAD_BYTES; ; ) {
    const line = await reader.line(left);
    if (line === undefined) throw new RefusedRequest(400, "the body of the request is cut");
    left -= line.length + 2;
    const isTrailer = headerOf(line) !== undefined && VALUE.test(line);
    if (line !== "" && !isTrailer) throw new RefusedRequest(400, "a trailer of the request is malformed");
    await to.write(bytesOf(`${line}\r\n`));
    if (line === "") return;
  }
}

/** Encodes text whose characters stand for bytes. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
