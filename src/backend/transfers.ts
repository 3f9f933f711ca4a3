import { invalid } from "./errors.js";
import { requireAbsolute } from "./file-paths.js";

/** Checks the path of a file in a box. @throws {BoxRunError} VALIDATION_ERROR when no file can have it */
export function requireFilePath(path: string): void {
  requireAbsolute(path);
  if (path.endsWith("/"))
    throw invalid(`the path ${JSON.stringify(path)} names a directory`, "name the file itself");
}
