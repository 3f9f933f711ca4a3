import { invalid } from "./errors.js";
import { isWellFormed } from "./util/well-formed.js";

/** Permission bits of a new file, unless the caller says otherwise. */
export const DEFAULT_FILE_MODE = 0o644;

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

/**
 * POSIX shell for commands in a box: `$t` becomes what `path`, itself of shell, leads to over links, and need not be there. It ends with `looped` where they lead in a circle. What stands after a link's target keeps line
 * ends that a substitution would take away.
 */
export function followLinks(path: string, looped: number): string {
  return `t=${path} links=0
while [ -L "$t" ]; do
  links=$((links + 1)); [ "$links" -le 40 ] || exit ${looped}
  to=$(readlink "$t"; printf .); to=\${to%?.}
  case $to in /*) t=$to ;; *) t=\${t%/*}/$to ;; esac
done
`;
}
