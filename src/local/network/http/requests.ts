/**
 * Reads the HTTP/1.1 requests of a program in a box. What cannot be told apart with certainty is refused, since a server that reads it in another way would get a request that was never
 * looked at. Source: RFC 9112.
 */
import { ByteReader } from "../../../util/byte-reader.js";
import { chunkSizeOf, headerOf, lengthOf } from "../../../util/http-syntax.js";
import type { RefusalStatus } from "./refusal.js";

/** Bytes that are read or passed on at once, at most. */
export const PIECE_BYTES = 64 * 1024;
const MAX_HEAD_BYTES = 64 * 1024;
const MAX_CHUNK_LINE = 4096;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\/[\x21-\x7e]*) HTTP\/1\.([01])$/;
const ASTERISK = /^(OPTIONS) (\*) HTTP\/1\.(1)$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Headers that say who asks, which servers do not repeat in their answers. */
export const CARRIES_CREDENTIALS =
  /^(?:authorization|cookie|.*(?:api-?key|-key|token|auth|secret|passw|credential|signature).*)$/i;

/** A request that is not passed on, with the answer that its program gets. */
export class RefusedRequest extends Error {
  override name = "RefusedRequest";
  /** Whether an earlier request of the connection was passed on: an answer would be taken for the answer to that one. */
  isLater = false;

  constructor(
    readonly status: RefusalStatus,
    message: string,
  ) {
    super(message);
  }
}

/** A header of a request. */
export interface Header {
  name: string;
  value: string;
}

/** A request without its body. */
export interface RequestHead {
  /** The first line, as it came. */
  line: string;
  method: string;
  /** Path and query; "*" for OPTIONS alone. */
  target: string;
  /** Whether the program speaks HTTP/1.0, which knows neither chunks nor connections that stay open. */
  isOld: boolean;
  headers: Header[];
}

/** Framing of a body: its length in bytes, or chunks. */
export type Framing = number | "chunked";

/** Returns a reader of requests. */
export function requestReader(from: ReadableStream<Uint8Array>): ByteReader {
  return new ByteReader(from, {
    tooLong: () => new RefusedRequest(431, "a line of the request is too long"),
    cut: () => new RefusedRequest(400, "the request is cut"),
  });
}

/** Reads the head of a request; undefined when the program has ended its side. @throws {RefusedRequest} when it is not in order */
export async function readHead(reader: ByteReader): Promise<RequestHead | undefined> {
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
  const [, method, target, minor] = REQUEST_LINE.exec(line) ?? ASTERISK.exec(line) ?? [];
  if (method === undefined || target === undefined)
    throw new RefusedRequest(400, "the request does not begin with a request line of HTTP/1.1");
  const headers: Header[] = [];
  for (;;) {
    const text = await next();
    if (text === undefined) throw new RefusedRequest(400, "the request is cut");
    if (text === "") return { line, method, target, isOld: minor === "0", headers };
    const header = headerOf(text);
    if (!header || !VALUE.test(header.value))
      throw new RefusedRequest(400, "a header of the request is malformed");
    headers.push(header);
  }
}

/** Returns the values of a header; `name` is in lower case. */
export function valuesOf(headers: readonly Header[], name: string): string[] {
  return headers.filter((header) => header.name.toLowerCase() === name).map(({ value }) => value);
}

/** Returns true when one of a header's comma-separated words is this one; both are in lower case. */
export function hasWord(headers: readonly Header[], name: string, word: string): boolean {
  return valuesOf(headers, name).some((value) =>
    value.split(",").some((one) => one.trim().toLowerCase() === word),
  );
}

/** Checks that a request is for the server that its connection is to. @throws {RefusedRequest} when it is not */
export function requireHost(headers: readonly Header[], host: string, port: number): void {
  const hosts = valuesOf(headers, "host").map((value) => value.toLowerCase());
  if (hosts.length === 1 && (hosts[0] === host || hosts[0] === `${host}:${port}`)) return;
  const asked =
    hosts.length === 1
      ? `names the host ${JSON.stringify(hosts[0]!.slice(0, 253))}`
      : "does not name one host";
  throw new RefusedRequest(
    421,
    `the request ${asked}, and this connection is for ${host} alone: open another one for another host`,
  );
}

/** Returns how a request's body is framed. @throws {RefusedRequest} when that is not certain */
export function framingOf(headers: readonly Header[]): Framing {
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

/** Yields the body of a request. Lines that come after one in chunks are added to `trailers`. @throws {RefusedRequest} when it is cut or malformed */
export async function* bodyPieces(
  reader: ByteReader,
  framing: Framing,
  trailers: string[] = [],
): AsyncGenerator<Uint8Array, void, undefined> {
  if (framing !== "chunked") return yield* counted(reader, framing);
  for (;;) {
    const count = chunkSizeOf((await reader.line(MAX_CHUNK_LINE)) ?? "");
    if (count === undefined) throw new RefusedRequest(400, "a chunk of the request's body is malformed");
    if (count === 0) break;
    yield* counted(reader, count);
    if ((await reader.line(MAX_CHUNK_LINE)) !== "")
      throw new RefusedRequest(400, "a chunk of the request's body is longer than it says");
  }
  for (let left = MAX_HEAD_BYTES; ; ) {
    const line = await reader.line(left);
    if (line === undefined) throw new RefusedRequest(400, "the body of the request is cut");
    if (line === "") return;
    left -= line.length + 2;
    if (headerOf(line) === undefined || !VALUE.test(line))
      throw new RefusedRequest(400, "a trailer of the request is malformed");
    trailers.push(line);
  }
}

async function* counted(reader: ByteReader, count: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let left = count; left > 0; ) {
    const piece = await reader.some(Math.min(left, PIECE_BYTES));
    if (!piece) throw new RefusedRequest(400, "the body of the request is cut");
    left -= piece.byteLength;
    yield piece;
  }
}

/** Encodes text whose characters stand for bytes. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
