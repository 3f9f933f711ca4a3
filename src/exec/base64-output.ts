/**
 * Shells in the box that run another command, to do with its outputs what a server cannot. Loaded for the first such command: wrapped-command.ts recognizes
 * them by their name.
 */
import type { OutputStream } from "../backend/backend.js";
import { fromBase64 } from "../util/base64.js";

/**
 * Runs its arguments and prints both outputs in base64, so that they survive a server that sends text. The exit code is that of the arguments. 5 and 7 are the
 * outputs of the shell, 3 leads from the command to the encoder of its stdout, 6 to the variable.
 */
const SCRIPT = `exec 5>&1 7>&2
code=$({ { { "$@" 3>&- 5>&- 6>&- 7>&-; echo $? >&6; } 2>&1 >&3 3>&- | base64 >&7; } 3>&1 | base64 >&5; } 6>&1)
exit "$code"`;
const HEAD = ["/bin/sh", "-c", SCRIPT, "boxrun"] as const;

/** Runs its arguments with both outputs in one. */
const JOINED_SCRIPT = `exec 2>&1; exec "$@"`;
const JOINED_HEAD = ["/bin/sh", "-c", JOINED_SCRIPT, "boxrun"] as const;

/** Returns the command that runs another one with both outputs in one. */
export function withJoinedOutput(cmd: readonly string[]): string[] {
  return [...JOINED_HEAD, ...cmd];
}

/** Returns the user's command in one that the functions of this file made; any other command unchanged. */
export function userCommand(cmd: readonly string[]): string[] {
  const exact = innerCommand(cmd) ?? cmd;
  return JOINED_HEAD.every((word, i) => exact[i] === word) ? exact.slice(JOINED_HEAD.length) : [...exact];
}

/** Wraps a command so that its outputs arrive as exact bytes. */
export function withExactOutput(cmd: readonly string[]): string[] {
  return [...HEAD, ...cmd];
}

/** Creates a decoder for the outputs of a command that {@link withExactOutput} made; undefined for any other. */
export function exactOutputOf(cmd: readonly string[]): ExactOutput | undefined {
  return innerCommand(cmd) && new ExactOutput();
}

function innerCommand(cmd: readonly string[]): string[] | undefined {
  return HEAD.every((word, i) => cmd[i] === word) ? cmd.slice(HEAD.length) : undefined;
}

/**
 * Decodes the output of such a command, which may be cut anywhere. Output that is not base64 was printed not by the script but by a shell that could not run
 * it, and is passed on unchanged.
 */
class ExactOutput {
  private readonly left: Record<OutputStream, string> = { stdout: "", stderr: "" };

  decode(stream: OutputStream, bytes: Uint8Array): Uint8Array {
    const text = this.left[stream] + new TextDecoder().decode(bytes).replace(/\s/g, "");
    const whole = text.length - (text.length % 4);
    this.left[stream] = text.slice(whole);
    try {
      return fromBase64(text.slice(0, whole));
    } catch {
      this.left[stream] = "";
      return bytes;
    }
  }
}
