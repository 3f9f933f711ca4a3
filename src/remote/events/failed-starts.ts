import type { BackendEvent, ExecInfo, ExecSpec } from "../../backend/backend.js";
import { type BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { newestFirst } from "../../backend/lists.js";
import { newId } from "../../util/ids.js";

/** Texts in the answer of a server that could not start a command. */
const FAILED_START = "Failed to start execution";
/** Reasons that mean a program which exists but cannot be run. */
const NOT_EXECUTABLE = /permission denied|exec format|(is|not) a directory|too long/i;
/** Reasons that mean a program which does not exist. */
const NOT_FOUND = /no such file|not found|ENOENT|os error 2\b/i;
const MAX_REMEMBERED = 1000;

interface FailedStart {
  info: ExecInfo;
  reason: string;
}

/**
 * Commands whose program a server of the published API could not run. It answers with an error, where other backends have a command that ended with exit code
 * 126 or 127 and the reason on stderr. This client makes up such a command.
 */
export class FailedStarts {
  private readonly known = new Map<string, FailedStart>();

  /**
   * Creates the execution that stands for a failed start, under the id that the server gave it in `listed`, if any. Undefined when the program is not the
   * reason.
   */
  add(boxId: string, spec: ExecSpec, error: BoxRunError, listed: ExecInfo[]): ExecInfo | undefined {
    const words = reasonOf(error);
    const exitCode = exitCodeOf(words);
    if (exitCode === undefined) return undefined;
    const { cmd, env, workdir, timeoutMs } = spec;
    const begun = newestFirst(listed).find((row) => !this.known.has(row.id) && isBegun(row, spec));
    const now = begun?.createdAt ?? new Date();
    const info: ExecInfo = {
      id: begun?.id ?? newId("exec"),
      boxId,
      status: "failed",
      cmd: [...cmd],
      env,
      workdir,
      timeoutMs,
      exitCode,
      errorMessage: null,
      createdAt: now,
      finishedAt: now,
    };
    this.known.set(info.id, { info, reason: `${cmd[0]}: ${words || "could not be started"}\n` });
    const oldest = this.known.keys().next().value as string;
    if (this.known.size > MAX_REMEMBERED) this.known.delete(oldest);
    return { ...info };
  }

  get(boxId: string, execId: string): ExecInfo | undefined {
    const found = this.known.get(execId)?.info;
    return found?.boxId === boxId ? { ...found } : undefined;
  }

  /** Adds the failed starts of a box to its server's list, in which they may appear as running forever. */
  addTo(boxId: string, listed: ExecInfo[]): ExecInfo[] {
    const own = [...this.known.values()].map(({ info }) => info).filter((info) => info.boxId === boxId);
    const ids = new Set(own.map(({ id }) => id));
    return [...listed.filter(({ id }) => !ids.has(id)), ...own.map((info) => ({ ...info }))];
  }

  *events(execId: string, after: number): Generator<BackendEvent, void, undefined> {
    const { info, reason } = this.known.get(execId) as FailedStart;
    const bytes = new TextEncoder().encode(reason);
    if (after < 1) yield { type: "log", stream: "stderr", bytes, seq: 1 };
    yield { type: "exit", exitCode: info.exitCode, seq: Math.max(2, after + 1) };
  }
}

/** Checks for the answer of a published server that could not start a command. */
export function isFailedStart(error: unknown): error is BoxRunError {
  return isBoxRunError(error) && error.code === "RUNTIME_ERROR" && error.message.includes(FAILED_START);
}

function reasonOf(error: BoxRunError): string {
  return error.message.split(FAILED_START)[1]?.replace(/^[:\s]+/, "") ?? "";
}

/** Returns the exit code that a shell would give for the reason; undefined when the program is not the reason. */
function exitCodeOf(reason: string): number | undefined {
  if (NOT_EXECUTABLE.test(reason)) return 126;
  return reason === "" || NOT_FOUND.test(reason) ? 127 : undefined;
}

/** Checks for the entry that a server keeps of a failed start: it looks like a command that has begun. */
function isBegun(row: ExecInfo, { cmd, env, workdir }: ExecSpec): boolean {
  return (
    row.status === "running" &&
    textOf(row) === textOf({ cmd, env }) &&
    // The server may fill in the box's own workdir if none was given.
    (workdir === null || row.workdir === workdir)
  );
}

function textOf({ cmd, env }: Pick<ExecInfo, "cmd" | "env">): string {
  return JSON.stringify([cmd, Object.entries(env ?? {}).sort()]);
}
