import { invalid } from "./errors.js";
import { pathBytes } from "./file-paths.js";

/** Checks the path of a file in a box. VALIDATION_ERROR for what can be none. */
export function requireFilePath(path: string): void {
  pathBytes(path);
  if (path.endsWith("/")) throw invalid(`${JSON.stringify(path)} names a directory`, "name the file itself");
}
