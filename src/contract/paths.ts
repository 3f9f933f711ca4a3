import { isWellFormed } from "../util/well-formed.js";

const SLASH = 47;

/** Says what is wrong with a path in a box, given as text or as bytes: "must be an absolute path". Undefined for a path that a file can have. */
export function pathFault(path: string | Uint8Array): string | undefined {
  const isText = typeof path === "string";
  if (!(isText ? path.startsWith("/") : path[0] === SLASH)) return "must be an absolute path";
  if (isText ? path.includes("\0") : path.includes(0)) return "must not contain a null character";
  return isText && !isWellFormed(path)
    ? "must not contain half a surrogate pair (box.files takes names as bytes)"
    : undefined;
}
