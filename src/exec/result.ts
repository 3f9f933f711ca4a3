import type { ExecInfo } from "../backend/backend.js";
import { BoxRunError } from "../backend/errors.js";

/**
 * Result of a finished command, with up to `maxOutputBytes` of each output. JSON.stringify, console.log and structuredClone have the data of it: the outputs as
 * text, `ok`, `durationMs` and the rest, but neither the bytes nor the methods. A copy by `{ ...result }` lacks these, too.
 *
 * @example
 * const { ok, stdout, stderr, exitCode, durationMs } = await box.exec("make");
 */
export interface ExecResult extends ExecInfo {
  /** Standard output as UTF-8 text; bytes that are not UTF-8 are replacement characters. */
  stdout: string;
  /** Standard error as UTF-8 text; bytes that are not UTF-8 are replacement characters. */
  stderr: string;
  /** Standard output as bytes. Not enumerable. */
  stdoutBytes: Uint8Array;
  /** Standard error as bytes. Not enumerable. */
  stderrBytes: Uint8Array;
  /** True when the command printed more than this result has. */
  truncated: boolean;
  /** True when the exit code is 0. */
  ok: boolean;
  /** Time from the start of the command to its end in milliseconds, as its backend measured it, or this side where the backend did not. */
  durationMs: number;
  /**
   * Returns stdout without the line break at its end ("\n" or "\r\n"), if it has one.
   *
   * @example
   * const machine = (await box.exec("uname -m")).text();   // "i686"
   */
  text(): string;
  /**
   * Returns this result, if its exit code is 0.
   *
   * @throws {ExitError} COMMAND_FAILED when it is not
   *
   * @example
   * const { stdout } = (await box.exec("make")).check();
   */
  check(): ExecResult;
}

/**
 * The error of a command that did not end as its caller wanted. `code` is COMMAND_FAILED when its exit code was not 0 and `check` was true, TIMEOUT when it ran
 * longer than `timeoutMs`, and CANCELED when somebody else canceled it or stopped its box.
 *
 * @example
 * try {
 *   await box.exec("make", { check: true });
 * } catch (error) {
 *   if (isBoxRunError(error) && error.code === "COMMAND_FAILED") console.error((error as ExitError).result.stderr);
 * }
 */
export class ExitError extends BoxRunError {
  /** "ExitError". */
  override readonly name = "ExitError";

  /** Creates an error for a command that has ended. */
  constructor(
    code: "COMMAND_FAILED" | "TIMEOUT" | "CANCELED",
    message: string,
    /** Result of the command, with the output that it had printed. */
    readonly result: ExecResult,
  ) {
    super(code, message);
  }

  /** Returns the error as plain data, the result included. See {@link BoxRunError.toJSON}. */
  override toJSON(): Record<string, unknown> {
    return { ...super.toJSON(), result: { ...this.result } };
  }
}

/** Outputs of a command, as they were collected. */
export type Outputs = Pick<ExecResult, "stdout" | "stderr" | "stdoutBytes" | "stderrBytes" | "truncated">;

/** Creates a result. `measuredMs` stands in for a duration that the backend does not know. */
export function createResult(info: ExecInfo, outputs: Outputs, measuredMs: number): ExecResult {
  const { stdoutBytes, stderrBytes, ...texts } = outputs;
  const { createdAt, finishedAt, exitCode } = info;
  const durationMs = finishedAt === null ? measuredMs : finishedAt.getTime() - createdAt.getTime();
  const data = {
    ...info,
    ...texts,
    truncated: outputs.truncated || info.truncated === true,
    ok: exitCode === 0,
    // A clock may have been set back meanwhile.
    durationMs: Math.max(0, Math.round(durationMs)),
  };
  // Data for JSON and structuredClone, which would write a megabyte of output as an object of a million keys, and refuse functions.
  const result: ExecResult = Object.defineProperties(data as ExecResult, {
    stdoutBytes: { value: stdoutBytes },
    stderrBytes: { value: stderrBytes },
    text: { value: () => result.stdout.replace(/\r?\n$/, "") },
    check: {
      value: () => {
        if (!result.ok) throw failed(result);
        return result;
      },
    },
  });
  return result;
}

/** Returns a command as the message of an error shows it. */
export function shownCommand({ cmd }: ExecInfo): string {
  return JSON.stringify(cmd.join(" ").slice(0, 200));
}

function failed(result: ExecResult): ExitError {
  const { exitCode, status } = result;
  const how = exitCode === null ? `has status "${status}"` : `exited with code ${exitCode}`;
  return new ExitError("COMMAND_FAILED", `${shownCommand(result)} ${how}${lastWords(result)}`, result);
}

function lastWords({ errorMessage, stderr }: ExecResult): string {
  if (errorMessage !== null) return `: ${errorMessage}`;
  // What is indented explains a line before it: JavaScript's stacks do.
  const line =
    stderr
      .split("\n")
      .filter((text) => /^\S/.test(text))
      .at(-1) ?? stderr.trim();
  return line === "" ? "" : `: ${line.slice(0, 300)}`;
}
