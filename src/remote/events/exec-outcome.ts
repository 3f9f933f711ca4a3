import type { BoxInfo, ExecInfo } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { unknownEnd } from "../http/failures.js";

/** State of an execution, and the error for callers that wait for its result when there is none. */
export interface Outcome {
  info: ExecInfo;
  failure?: BoxRunError;
}

/** Signals by which servers end a command at its time limit: SIGALRM, in later versions SIGTERM, then SIGKILL. */
const TIME_LIMIT_CODES: readonly (number | null)[] = [-14, -15, -9];
/** Code of SIGHUP, and of a command whose box is gone. */
const LOST_CODE = -1;
/** Tolerance, since times are truncated to milliseconds. */
const ROUNDING_MS = 1;

/**
 * Returns the state of an execution as the other backends report it. Servers of the published API report a signal and a time limit by a negative code alone,
 * and a box that has ended by -1; `askBox` tells that apart from a signal.
 */
export async function outcomeOf(info: ExecInfo, askBox: () => Promise<BoxInfo>): Promise<Outcome> {
  const { exitCode, status, errorMessage, timeoutMs } = info;
  if (status === "running") return { info };
  if (status === "canceled" || status === "timeout") return { info: { ...info, exitCode: null } };
  if (exitCode === null) {
    if (errorMessage !== null) return failed(info, errorMessage);
    return { info, failure: unknownEnd(`execution ${info.id}`, info) };
  }
  if (exitCode === 0) return errorMessage === null ? { info } : failed(info, errorMessage);
  if (exitCode > 0) return { info };
  if (isOutOfTime(info)) {
    const message = `timed out after ${timeoutMs} ms`;
    return { info: { ...info, status: "timeout", exitCode: null, errorMessage: message } };
  }
  if (exitCode === LOST_CODE) {
    const box = await askBox();
    if (!hasOutlived(box, info)) return lost(info, box);
    if (errorMessage !== null) return failed(info, errorMessage);
  }
  return { info: { ...info, status: "failed", exitCode: 128 - exitCode } };
}

function isOutOfTime({ exitCode, errorMessage, timeoutMs, createdAt, finishedAt }: ExecInfo): boolean {
  if (timeoutMs === null || finishedAt === null || errorMessage !== null) return false;
  if (!TIME_LIMIT_CODES.includes(exitCode)) return false;
  return finishedAt.getTime() - createdAt.getTime() + ROUNDING_MS >= timeoutMs;
}

/** Checks that the box is running, and has been since the command ended. */
function hasOutlived({ status, startedAt }: BoxInfo, { finishedAt }: ExecInfo): boolean {
  return status === "running" && !(startedAt && finishedAt && startedAt > finishedAt);
}

function failed(info: ExecInfo, message: string): Outcome {
  return {
    info: { ...info, status: "error", exitCode: null, errorMessage: message },
    failure: new BoxRunError("RUNTIME_ERROR", `execution ${info.id}: ${message}`),
  };
}

function lost(info: ExecInfo, box: BoxInfo): Outcome {
  const message = `the box ended while the command ran${info.errorMessage === null ? "" : `: ${info.errorMessage}`}`;
  const now = box.status === "running" ? "was restarted since" : `has status ${box.status}`;
  return {
    info: { ...info, status: "error", exitCode: null, errorMessage: message },
    failure: new BoxRunError("BOX_NOT_RUNNING", `execution ${info.id}: ${message}; box ${box.id} ${now}`),
  };
}
