import type { BackendEvent, ExecInfo, ExecSpec } from "../backend.js";
import { type BoxRunError, isBoxRunError } from "../errors.js";
import { newId } from "../util/ids.js";

/** In the answer of a server that could not run the program of a command. */
const FAILED_START = "Failed to start execution";
/** Reasons of a program that is there. */
const NOT_EXECUTABLE = /permission denied|exec format|is a directory|too long/i;
const MAX_REMEMBERED = 1000;

interface FailedStart {
  info: ExecInfo;
  reason: string;
}

/**
 * Commands that a server of the published API refused to start. It answers with an error where other backends have a command that has ended with code 127, its reason on stderr: here are those commands, as this
 * client made them up.
 */
export class FailedStarts {
  private readonly known = new Map<string, FailedStart>();

  /** The execution that stands for a start that failed. */
  add(boxId: string, { cmd, env, workdir, timeoutMs }: ExecSpec, error: BoxRunError): ExecInfo {
    const words = error.message.split(FAILED_START)[1]?.replace(/^[:\s]+/, "") || "it could not be started";
    const now = new Date();
    const info: ExecInfo = {
      id: newId("exec"),
      boxId,
      status: "failed",
      cmd: [...cmd],
      env,
      workdir,
      timeoutMs,
      exitCode: NOT_EXECUTABLE.test(words) ? 126 : 127,
      errorMessage: null,
      createdAt: now,
      finishedAt: now,
    };
    this.known.set(info.id, { info, reason: `${cmd[0]}: ${words}\n` });
    const oldest = this.known.keys().next().value as string;
    if (this.known.size > MAX_REMEMBERED) this.known.delete(oldest);
    return { ...info };
  }

  get(boxId: string, execId: string): ExecInfo | undefined {
    const found = this.known.get(execId)?.info;
    return found?.boxId === boxId ? { ...found } : undefined;
  }

  list(boxId: string): ExecInfo[] {
    return [...this.known.values()]
      .filter(({ info }) => info.boxId === boxId)
      .map(({ info }) => ({ ...info }));
  }

  *events(execId: string, after: number): Generator<BackendEvent, void, undefined> {
    const { info, reason } = this.known.get(execId) as FailedStart;
    const bytes = new TextEncoder().encode(reason);
    if (after < 1) yield { type: "log", stream: "stderr", bytes, seq: 1 };
    yield { type: "exit", exitCode: info.exitCode, seq: Math.max(2, after + 1) };
  }
}

/** True for the answer of a server of the published API that could not run the program. */
export function isFailedStart(error: unknown): error is BoxRunError {
  return isBoxRunError(error) && error.code === "RUNTIME_ERROR" && error.message.includes(FAILED_START);
}
