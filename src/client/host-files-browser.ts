/** Stand-in for host-files.ts in pages and edge functions, which have no files of their own and need not load the code for them. */
import { unsupported } from "../backend/errors.js";

/** @throws {BoxRunError} UNSUPPORTED */
export function openLocalFile(): never {
  throw unsupported("upload by path needs a file system", "in a page, pass a Blob or bytes");
}

/** @throws {BoxRunError} UNSUPPORTED */
export function requireLocalFiles(): never {
  throw unsupported("download to a path needs a file system", "in a page, use blob()");
}

/** Never called: `requireLocalFiles` is called first. */
export function saveLocalFile(): never {
  return requireLocalFiles();
}
