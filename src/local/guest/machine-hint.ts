import type { ExitHow } from "../protocol/frame-types.js";

const SIGILL = 4;
/** Exit codes of a shell whose program could not be executed, or was ended by SIGILL. */
const NOT_EXECUTABLE = 126;
const SIGILL_IN_SHELL = 128 + SIGILL;

/** Hint for a program that the kernel cannot execute. */
export const FORMAT_HINT =
  "exec format error: this machine is an i686, which runs 32-bit x86 programs (from Debian's i386 packages, or built with -m32 -march=i686), not 64-bit or ARM ones; a script must begin with #!";
/** Hint for SIGILL, which programs also raise themselves to give up, or can be sent. It claims no more than is certain. */
const INSTRUCTION_HINT =
  "killed by signal 4 (illegal instruction): this machine has SSE2 and SSE3, but no SSSE3, SSE4 or AVX; use Debian's i386 package, or build with -march=i686";

/**
 * Explains the end of a command that may need another machine. A shell reports it by an exit code that any command may use, so the text must be in
 * `lastOutput`, too.
 */
export function machineHint(how: ExitHow, value: number, lastOutput: () => string): string | null {
  if (how === "signaled") return value === SIGILL ? INSTRUCTION_HINT : null;
  if (value === NOT_EXECUTABLE) return /\bexec format error\b/i.test(lastOutput()) ? FORMAT_HINT : null;
  if (value !== SIGILL_IN_SHELL) return null;
  return /\billegal instruction\b/i.test(lastOutput()) ? INSTRUCTION_HINT : null;
}
