/** Stand-in for host-files.ts in pages and edge functions, which have no files of their own and need not load the code for them. */
import { unsupported } from "../backend/errors.js";

/** @throws {BoxRunError} UNSUPPORTED */
export function isLocalFolder(): never {
  throw unsupported(
    "upload by path needs a file system",
    "in a page, pass a Blob or bytes; for a directory, give its tar archive to files.unpack",
  );
}

/** Never called: `isLocalFolder` is called first. */
export function openLocalFile(): never {
  return isLocalFolder();
}

/** Never called: `isLocalFolder` is called first. */
export function packLocalFolder(): never {
  return isLocalFolder();
}

/** @throws {BoxRunError} UNSUPPORTED */
export function requireLocalFiles(): never {
  throw unsupported(
    "download to a path needs a file system",
    "in a page, use blob(), or files.pack for a directory",
  );
}

/** Never called: `requireLocalFiles` is called first. */
export function saveLocalFile(): never {
  return requireLocalFiles();
}

/** Never called: `requireLocalFiles` is called first. */
export function unpackLocalFolder(): never {
  return requireLocalFiles();
}
