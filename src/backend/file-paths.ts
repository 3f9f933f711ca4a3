import { pathFault } from "../contract/paths.js";
import { invalid } from "./errors.js";

/** An absolute path in a box: text, or bytes for names that are not UTF-8. */
export type BoxPath = string | Uint8Array;

const SLASH = 47;

/** Checks that a text is an absolute path in a box; `name` is that of the option. @throws {BoxRunError} VALIDATION_ERROR when it is not */
export function requireAbsolute(path: string, name = "path"): void {
  if (typeof path !== "string") throw invalid(`${name} must be a string, got ${typeof path}`);
  const fault = pathFault(path);
  if (fault) throw invalid(`${name} ${fault}, got ${JSON.stringify(path)}`);
}

/** Returns a path as bytes, without slashes at its end. @throws {BoxRunError} VALIDATION_ERROR when it is not an absolute path */
export function pathBytes(path: BoxPath): Uint8Array {
  if (typeof path !== "string" && !(path instanceof Uint8Array))
    throw invalid(`path must be a string or bytes, got ${typeof path}`);
  const fault = pathFault(path);
  if (fault) throw invalid(`path ${fault}, got ${JSON.stringify(showPath(path))}`);
  const bytes = typeof path === "string" ? new TextEncoder().encode(path) : path;
  let end = bytes.byteLength;
  while (end > 1 && bytes[end - 1] === SLASH) end--;
  return bytes.subarray(0, end);
}

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
