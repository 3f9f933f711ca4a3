import { invalid } from "./errors.js";
import { isWellFormed } from "./util/well-formed.js";

/** Checks the path of a file in a box. VALIDATION_ERROR for what can be none. */
export function requireFilePath(path: string): void {
  const shown = JSON.stringify(path);
  if (!path.startsWith("/")) throw invalid(`a path in a box must be absolute, and ${shown} is not`);
  if (path.includes("\0")) throw invalid("a path cannot contain a zero character");
  if (path.endsWith("/")) throw invalid(`${shown} names a directory`, "name the file itself");
  if (!isWellFormed(path))
    throw invalid(
      `the path ${shown} has half a surrogate pair in it, which no file name can have`,
      "box.files takes names that are no text as bytes",
    );
}
