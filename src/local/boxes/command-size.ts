import { invalid } from "../../backend/errors.js";
import { MAX_PATH, MAX_STRING, MAX_STRINGS, STRING_OVERHEAD } from "../protocol/frame-types.js";

/** Limit of Linux for a command, less the longest path: Linux also counts the program's path as it is found in the box. */
const LIMIT = MAX_STRINGS - (MAX_PATH + 1);
const HINT = "upload long input as a file, or pass it as stdin";

/**
 * Checks that a command is not too large for Linux.
 *
 * @throws {BoxRunError} VALIDATION_ERROR, naming the part that is too long, by how much, and the limit
 *
 * @example
 * requireCommandSize(["echo", "hello"], { PATH: "/bin" });
 */
export function requireCommandSize(argv: readonly string[], env: Readonly<Record<string, string>>): void {
  const encoder = new TextEncoder();
  let total = 0;
  const add = (name: string, text: string) => {
    const bytes = encoder.encode(text).byteLength;
    if (bytes > MAX_STRING) {
      throw invalid(
        `${name} must be at most ${MAX_STRING} bytes (128 KiB with the terminating null), got ${bytes}, ${bytes - MAX_STRING} too many`,
        HINT,
      );
    }
    total += bytes + STRING_OVERHEAD;
  };
  for (const [i, argument] of argv.entries()) add(`cmd[${i}]`, argument);
  for (const [name, value] of Object.entries(env)) {
    add(`the environment variable ${JSON.stringify(name.slice(0, 100))}`, `${name}=${value}`);
  }
  if (total <= LIMIT) return;
  throw invalid(
    `the command and its environment together must be at most ${LIMIT} bytes (2 MiB less 4 KiB for the program's path; each string counts ${STRING_OVERHEAD} bytes extra), got ${total}, ${total - LIMIT} too many`,
    HINT,
  );
}
