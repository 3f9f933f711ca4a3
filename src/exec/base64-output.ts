/** Shells of the box that run another command, for what a server cannot do with its outputs. Loaded for the first of them: see wrapped-command.ts, which knows them by their name. */
import type { OutputStream } from "../backend/backend.js";

/**
 * Runs its arguments, and prints both outputs in base64, so that they come through a server that sends text. Its exit code is theirs. 5 and 7 are the outputs of the whole, 3 leads from the command to the
 * encoder of its stdout, 6 to the variable.
 */
const SCRIPT = `exec 5>&1 7>&2
code=$({ { { "$@" 3>&- 5>&- 6>&- 7>&-; echo $? >&6; } 2>&1 >&3 3>&- | base64 >&7; } 3>&1 | base64 >&5; } 6>&1)
exit "$code"`;
const HEAD = ["/bin/sh", "-c", SCRIPT, "boxrun"] as const;

/** Runs its arguments with both outputs in one. */
const JOINED_SCRIPT = `exec 2>&1; exec "$@"`;
const JOINED_HEAD = ["/bin/sh", "-c", JOINED_SCRIPT, "boxrun"] as const;

/** The command that runs another one with one output. */
export function withJoinedOutput(cmd: readonly string[]): string[] {
  return [...JOINED_HEAD, ...cmd];
}

/** The command in what the functions of this file made of it; any other as it is. */
export function userCommand(cmd: readonly string[]): string[] {
  const exact = innerCommand(cmd) ?? cmd;
  return JOINED_HEAD.every((word, i) => exact[i] === word) ? exact.slice(JOINED_HEAD.length) : [...exact];
}

/** Wraps a command so that its outputs arrive exactly as they are. */
export function withExactOutput(cmd: readonly string[]): string[] {
  return [...HEAD, ...cmd];
}

/** Makes a decoder for the outputs of a command that {@link withExactOutput} made; undefined for any other. */
export function exactOutputOf(cmd: readonly string[]): ExactOutput | undefined {
  return innerCommand(cmd) && new ExactOutput();
}

function innerCommand(cmd: readonly string[]): string[] | undefined {
  return HEAD.every((word, i) => cmd[i] === word) ? cmd.slice(HEAD.length) : undefined;
}

/** Decodes what such a command prints, which may be cut anywhere. What is no base64 was not printed by the script, but by a shell that could not run it: it is passed on as it is. */
class ExactOutput {
  private readonly left: Record<OutputStream, string> = { stdout: "", stderr: "" };

  decode(stream: OutputStream, bytes: Uint8Array): Uint8Array {
    const text = this.left[stream] + new TextDecoder().decode(bytes).replace(/\s/g, "");
    const whole = text.length - (text.length % 4);
    this.left[stream] = text.slice(whole);
    try {
      return Uint8Array.from(atob(text.slice(0, whole)), (char) => char.charCodeAt(0));
    } catch {
      this.left[stream] = "";
      return bytes;
    }
  }
}
