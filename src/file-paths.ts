import { invalid } from "./errors.js";
import { isWellFormed } from "./util/well-formed.js";

/** An absolute path in a box. As bytes, for names that are no UTF-8. */
export type BoxPath = string | Uint8Array;

const SLASH = 47;

/** The bytes of a path, without slashes at its end. VALIDATION_ERROR for what is none. */
export function pathBytes(path: BoxPath): Uint8Array {
  if (typeof path !== "string" && !(path instanceof Uint8Array))
    throw invalid("a path must be a string or bytes");
  if (typeof path === "string" && !isWellFormed(path))
    throw invalid(
      `the path ${JSON.stringify(path)} has half a surrogate pair in it, which no file name can have`,
      "box.files takes names that are no text as bytes",
    );
  const bytes = typeof path === "string" ? new TextEncoder().encode(path) : path;
  if (bytes[0] !== SLASH) throw invalid(`the path ${JSON.stringify(showPath(path))} must be absolute`);
  if (bytes.includes(0)) throw invalid("a path cannot contain a zero character");
  let end = bytes.byteLength;
  while (end > 1 && bytes[end - 1] === SLASH) end--;
  return bytes.subarray(0, end);
}

/** For messages. */
export function showPath(path: BoxPath): string {
  return typeof path === "string" ? path : new TextDecoder().decode(path);
}

/** Undefined for what is no UTF-8. */
export function pathText(path: BoxPath): string | undefined {
  try {
    return typeof path === "string"
      ? path
      : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(path);
  } catch {
    return undefined;
  }
}
