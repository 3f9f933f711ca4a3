import type { Backend, Capabilities, ExecInfo, ExecSpec } from "../backend/backend.js";
import { invalid, isBoxRunError } from "../backend/errors.js";
import { parseExecSpec, shown } from "../backend/validate.js";
import type { Command } from "./arguments.js";
import { type Source, toStream } from "./byte-source.js";
import { Execution, Overdue } from "./execution.js";
import { whileFeeding } from "./feed-input.js";
import { OutputCollector } from "./output-collector.js";
import { createResult, type ExecResult, ExitError, shownCommand } from "./result.js";
import { mayBeWrapped } from "./wrapped-command.js";

const DEFAULT_MAX_OUTPUT_BYTES = 16 * 2 ** 20;

/** Options that {@link BoxHandle.exec} and {@link BoxHandle.execStream} share. */
export interface CommandOptions {
  /** Environment variables, on top of those of the box. @default none */
  env?: Record<string, string>;
  /** Absolute path of the directory to start in, which must exist. @default the `workdir` of the box */
  workdir?: string;
  /** Another name of `workdir`. Only one of them may be given. @default `workdir` */
  cwd?: string;
  /** Time limit in milliseconds, at most 2^31 - 1. The command and all of its session are ended then. @default none */
  timeoutMs?: number;
  /** Aborting it cancels the command. The call rejects at once with the signal's reason. */
  signal?: AbortSignal;
  /**
   * "stdout": stderr goes where stdout goes, like `2>&1` in a shell. All output arrives as stdout, in the order in which it was printed, and stderr is empty.
   * When a server cannot do this (`capabilities.stderr`), the command is run by a shell in the box.
   * @default two separate outputs, without a common order
   */
  stderr?: "stdout";
  /**
   * "bytes": output is exact even over a server that sends it as text (`capabilities.bytes`). There, the command is run by a shell in the box that pipes its
   * outputs through `base64`: they are a third larger and arrive in larger pieces, and the command has not ended while something that it left in the background
   * holds its outputs open. Elsewhere this option has no effect.
   * @default "text"
   */
  encoding?: "text" | "bytes";
}

/** Options of {@link BoxHandle.exec}. */
export interface ExecOptions extends CommandOptions {
  /** Whole input of the command. @default empty */
  stdin?: Source;
  /** Called with each piece of stdout as text, as it arrives. */
  onStdout?: (data: string) => void;
  /** Called with each piece of stderr as text, as it arrives. */
  onStderr?: (data: string) => void;
  /** Number of bytes of each output that the result keeps. The rest is read and dropped, and `truncated` of the result is true. @default 16 MiB */
  maxOutputBytes?: number;
  /** Whether an exit code other than 0 rejects with {@link ExitError}. @default false */
  check?: boolean;
}

/** Options of {@link BoxHandle.execStream}. */
export interface ExecStreamOptions extends CommandOptions {
  /** Whether the execution has a `stdin` to write to. Without it, the command's input is empty. @default false */
  stdin?: boolean;
  /** Whether the command goes on when its reader leaves. @default false */
  detached?: boolean;
}

/** Starts a command. Used by `BoxHandle`, which documents it. */
export async function startExecution(
  backend: Backend,
  boxId: string,
  cmd: Command,
  options: ExecStreamOptions,
): Promise<Execution> {
  const { signal, detached = false, encoding = "text", cwd, workdir, ...rest } = options;
  const ofExec = ["onStdout", "onStderr", "maxOutputBytes", "check"].find((name) => name in rest);
  if (ofExec) throw invalid(`unknown option ${ofExec}`, "exec has it");
  if (encoding !== "text" && encoding !== "bytes") throw invalid('encoding must be "text" or "bytes"');
  const asked: ExecSpec = parseExecSpec({
    ...rest,
    workdir: directoryOf(cwd, workdir),
    cmd: typeof cmd === "string" ? ["/bin/sh", "-c", cmd] : cmd,
  });
  const spec = await wrapped(asked, backend.capabilities, encoding);
  signal?.throwIfAborted();
  const info = await backend.startExec(boxId, spec);
  return new Execution(backend, info, {
    stdin: spec.stdin,
    detached,
    ...(signal && { signal }),
    ...(spec.timeoutMs !== null && { timeoutMs: spec.timeoutMs }),
  });
}

/** Returns the `workdir` of options in which it may be called `cwd`. @throws {BoxRunError} VALIDATION_ERROR when both are given, or `cwd` is wrong */
export function directoryOf(cwd: string | undefined, workdir: string | undefined): string | undefined {
  if (cwd === undefined) return workdir;
  if (workdir !== undefined) throw invalid("give cwd or workdir, not both");
  if (typeof cwd !== "string" || !cwd.startsWith("/")) throw invalid("cwd must be an absolute path");
  return cwd;
}

/** Wraps a command in a shell of the box that joins or encodes its outputs, when the backend cannot. */
async function wrapped(spec: ExecSpec, can: Capabilities, encoding: "text" | "bytes"): Promise<ExecSpec> {
  const isExact = encoding === "bytes" && can.bytes !== true;
  const isJoined = spec.stderr !== undefined && can.stderr !== true;
  if (!isExact && !isJoined) return spec;
  const { withExactOutput, withJoinedOutput } = await import("./base64-output.js");
  const { stderr, ...rest } = spec;
  const cmd = isJoined ? withJoinedOutput(spec.cmd) : spec.cmd;
  return { ...rest, ...(stderr && !isJoined && { stderr }), cmd: isExact ? withExactOutput(cmd) : cmd };
}

/** Runs a command to its end. Used by `BoxHandle`, which documents it. */
export async function runToEnd(
  backend: Backend,
  boxId: string,
  cmd: Command,
  options: ExecOptions,
): Promise<ExecResult> {
  const { stdin, onStdout, onStderr, maxOutputBytes = DEFAULT_MAX_OUTPUT_BYTES, check, ...rest } = options;
  if (!Number.isSafeInteger(maxOutputBytes) || maxOutputBytes < 0) {
    throw invalid(`maxOutputBytes must be an integer of at least 0, got ${shown(maxOutputBytes)}`);
  }
  if ("detached" in rest)
    throw invalid("unknown option detached", "to leave it in the background, use execStream");
  if ((stdin as unknown) === true)
    throw invalid("stdin must be what it reads", "to write to it as it runs, use execStream");
  // Checked before anything runs.
  const input = stdin === undefined ? undefined : toStream(stdin).stream;
  const starting = startExecution(backend, boxId, cmd, { ...rest, stdin: input !== undefined });
  const execution = await starting.catch(async (error) => {
    // Nobody will read it any more.
    await input?.cancel().catch(() => {});
    throw error;
  });
  const startedAt = performance.now();
  const collector = new OutputCollector(maxOutputBytes, { stdout: onStdout, stderr: onStderr });
  const collected = collector.read(execution);
  const ended = input === undefined ? collected : whileFeeding(execution, input, collected);
  const told = ended.then(async () => {
    const { exitCode } = collector;
    // If the exit code is known, the rest is not essential.
    const state = await execution.info().catch((error) => {
      if (exitCode === null) throw error;
      return execution.started;
    });
    return endedBy(state, exitCode);
  });
  const info = await told.catch((error) => {
    // The command has run, so a repeated call would run it twice.
    if (isBoxRunError(error) && error.method) Object.assign(error, { retryable: false });
    if (!(error instanceof Overdue)) throw error;
    return { ...execution.started, status: "timeout" as const, errorMessage: error.message };
  });
  const measuredMs = performance.now() - startedAt;
  const known = mayBeWrapped(info.cmd)
    ? { ...info, cmd: (await import("./base64-output.js")).userCommand(info.cmd) }
    : info;
  const result = createResult(known, collector.outputs(), measuredMs);
  if (info.status === "timeout") {
    const how = info.errorMessage ?? "timed out";
    throw new ExitError("TIMEOUT", `${shownCommand(result)} ${how}`, result);
  }
  if (info.status === "canceled")
    throw new ExitError("CANCELED", `${shownCommand(result)} was canceled${whyOf(info)}`, result);
  return check ? result.check() : result;
}

/** Returns the reason that a box gives for the end of a command, such as its own. */
function whyOf({ errorMessage }: ExecInfo): string {
  return errorMessage === null ? "" : `: ${errorMessage}`;
}

/** A server may tell a stream of the end a moment before it has written it down, or have forgotten it since. */
function endedBy(info: ExecInfo, exitCode: number | null): ExecInfo {
  if (info.exitCode !== null || exitCode === null) return info;
  const status = exitCode === 0 ? "succeeded" : "failed";
  return { ...info, exitCode, status: info.status === "running" ? status : info.status };
}
