/** Syntax of HTTP/1.1. Sources: RFC 9110 and RFC 9112. */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const LENGTH = /^\d{1,15}$/;
const CHUNK = /^([0-9A-Fa-f]{1,13})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

/** Returns whether a text is a token, as the names of methods and headers are. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Reads a line of a head or a trailer. Returns undefined for one that is malformed, or folded, which none may be any more. */
export function headerOf(line: string): { name: string; value: string } | undefined {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon));
  return isToken(name) ? { name, value: line.slice(colon + 1).trim() } : undefined;
}

/** Reads a Content-Length, in bytes. Returns undefined for one that is none. */
export function lengthOf(value: string): number | undefined {
  return LENGTH.test(value) ? Number(value) : undefined;
}

/** Reads the line before a chunk: the chunk's size, in bytes. Returns undefined for a malformed one. */
export function chunkSizeOf(line: string): number | undefined {
  const [, size] = CHUNK.exec(line) ?? [];
  return size === undefined ? undefined : Number.parseInt(size, 16);
}
