import { isWellFormed } from "../util/well-formed.js";
import { invalid } from "./errors.js";

/** An absolute path in a box: text, or bytes for names that are not UTF-8. */
export type BoxPath = string | Uint8Array;

const SLASH = 47;

/** Checks that a text is an absolute path in a box. @throws {BoxRunError} VALIDATION_ERROR when it is not */
export function requireAbsolute(path: string): void {
  if (typeof path !== "string") throw invalid(`a path must be text, got ${typeof path}`);
  if (!isWellFormed(path))
    throw invalid(
      `the path ${JSON.stringify(path)} has half a surrogate pair in it, which no file name can have`,
      "box.files takes names as bytes",
    );
  if (!path.startsWith("/")) throw notAbsolute(path);
  if (path.includes("\0")) throw withZero();
}

/** Returns a path as bytes, without slashes at its end. @throws {BoxRunError} VALIDATION_ERROR when it is not an absolute path */
export function pathBytes(path: BoxPath): Uint8Array {
  if (typeof path === "string") requireAbsolute(path);
  else if (!(path instanceof Uint8Array)) throw invalid("a path must be text or bytes");
  const bytes = typeof path === "string" ? new TextEncoder().encode(path) : path;
  if (bytes[0] !== SLASH) throw notAbsolute(showPath(path));
  if (bytes.includes(0)) throw withZero();
  let end = bytes.byteLength;
  while (end > 1 && bytes[end - 1] === SLASH) end--;
  return bytes.subarray(0, end);
}

const notAbsolute = (shown: string) => invalid(`the path ${JSON.stringify(shown)} must be absolute`);
const withZero = () => invalid("a path cannot contain a zero character");

/** Returns a path as text for a message. */
export function showPath(path: BoxPath): string {
  return typeof path === "string" ? path : new TextDecoder().decode(path);
}

/** Returns a path as text; undefined when it is not UTF-8. */
export function pathText(path: BoxPath): string | undefined {
  try {
    return typeof path === "string"
      ? path
      : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(path);
  } catch {
    return undefined;
  }
}
