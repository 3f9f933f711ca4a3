import { BoxRunError, errnoCause, invalid } from "../../backend/errors.js";
import { portClosed } from "../../backend/ports.js";
import { MAX_WATCHED, STAGES } from "../protocol/frame-types.js";
import { FORMAT_HINT } from "./machine-hint.js";

/** Linux error numbers that the agent is known to send, with texts for people. */
const ERRNO: Record<number, readonly [name: string, words: string]> = {
  1: ["EPERM", "operation not permitted"],
  2: ["ENOENT", "no such file or directory"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device or address"],
  7: ["E2BIG", "argument list too long"],
  8: ["ENOEXEC", "exec format error"],
  11: ["EAGAIN", "too many at once"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "permission denied"],
  16: ["EBUSY", "in use"],
  17: ["EEXIST", "file exists"],
  18: ["EXDEV", "on another file system"],
  20: ["ENOTDIR", "not a directory"],
  21: ["EISDIR", "is a directory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files in the system"],
  24: ["EMFILE", "too many open files"],
  26: ["ETXTBSY", "text file busy"],
  27: ["EFBIG", "file too large"],
  28: ["ENOSPC", "no space left on the box's disk"],
  30: ["EROFS", "read-only file system"],
  31: ["EMLINK", "too many links"],
  36: ["ENAMETOOLONG", "file name too long"],
  39: ["ENOTEMPTY", "directory not empty"],
  32: ["EPIPE", "broken pipe"],
  40: ["ELOOP", "too many levels of symbolic links"],
  75: ["EOVERFLOW", "more than can be handled"],
  95: ["EOPNOTSUPP", "not supported by its file system"],
  104: ["ECONNRESET", "connection reset"],
  108: ["ESHUTDOWN", "the box is shutting down"],
  110: ["ETIMEDOUT", "connection timed out"],
  111: ["ECONNREFUSED", "connection refused"],
  116: ["ESTALE", "the file is gone"],
  122: ["EDQUOT", "disk quota exceeded"],
  125: ["ECANCELED", "canceled"],
};

const ENOENT = 2;
const ENOEXEC = 8;
const EAGAIN = 11;
const EINVAL = 22;
const EMFILE = 24;
const ENOSPC = 28;
const ESHUTDOWN = 108;
const ECONNREFUSED = 111;
const EDQUOT = 122;

/** A report of the agent that a stream failed. */
export interface GuestFailure {
  stage: number;
  errno: number;
  /** Path or step on which it failed: text from the guest, for messages only. */
  detail: string;
  /** Path in the box of the volume that failed; absent for the box's disk. */
  volume?: string;
}

/** Describes an error number: "no such file or directory (ENOENT)". */
export function describeErrno(errno: number): string {
  const known = ERRNO[errno];
  return known ? `${known[1]} (${known[0]})` : `error ${errno}`;
}

/** Creates the error for a transfer or a file operation that the guest refused. */
export function fileError(action: string, path: string, failure: GuestFailure): BoxRunError {
  const { errno, volume } = failure;
  const known = ERRNO[errno];
  const isFull = errno === ENOSPC || errno === EDQUOT;
  const details = {
    retryable: failure.stage === STAGES.limit,
    ...(known && { cause: errnoCause(...known) }),
  };
  let why = describeErrno(errno);
  if (volume !== undefined && errno === ENOSPC) why = `no space left in the volume at ${volume} (ENOSPC)`;
  if (volume !== undefined && errno === EDQUOT)
    why = `the quota of the volume at ${volume} is used up (EDQUOT)`;
  return new BoxRunError(isFull ? "STORAGE_FULL" : "RUNTIME_ERROR", `${action} ${path}: ${why}`, details);
}

/** Creates the error for a watch that could not begin, or go on. */
export function watchError(path: string, failure: GuestFailure): BoxRunError {
  const { code, message, cause } = fileError("watch", path, failure);
  if (failure.errno === ESHUTDOWN)
    return new BoxRunError("BOX_NOT_RUNNING", "the box is shutting down", { cause });
  if (failure.errno === EMFILE)
    return new BoxRunError("RESOURCE_EXCEEDED", message, {
      cause,
      hint: "watch a smaller directory, end watches that are not needed, or raise the limit of open files of the process that runs the box (ulimit -n)",
    });
  if (failure.errno !== ENOSPC) return new BoxRunError(code, message, { cause });
  const why = `there are too many directories to watch: at most ${MAX_WATCHED} (ENOSPC)`;
  return new BoxRunError("RUNTIME_ERROR", `watch ${path}: ${why}`, {
    cause: errnoCause("ENOSPC", why),
    hint: "watch fewer of them, without recursive or one by one",
  });
}

/** Creates the error for a download that the guest refused. */
export function downloadError(path: string, failure: GuestFailure): BoxRunError {
  return transferError("download of", path, failure, {
    [STAGES.open]: { [EINVAL]: "not a regular file (EINVAL)" },
    [STAGES.read]: { [EAGAIN]: "it has no end, and reading it would block (EAGAIN)" },
  });
}

/** Creates the error for an upload that the guest refused. */
export function uploadError(path: string, failure: GuestFailure): BoxRunError {
  const inPlace = failure.stage === STAGES.partly;
  const action = inPlace ? "upload in place to" : "upload to";
  const target = inPlace ? `${path} (it may be partly written)` : path;
  return transferError(action, target, failure, {
    [STAGES.open]: {
      [EINVAL]: "not a regular file but a FIFO or socket, which may never have a reader (EINVAL)",
    },
    [STAGES.partly]: { [EAGAIN]: "the device accepts no more data at the moment (EAGAIN)" },
  });
}

/** Creates the error for a transfer. `words`, by stage and errno, replace the text of the errno alone. */
function transferError(
  action: string,
  path: string,
  failure: GuestFailure,
  words: Readonly<Record<number, Readonly<Record<number, string>>>>,
): BoxRunError {
  const error = fileError(action, path, failure);
  const why = words[failure.stage]?.[failure.errno];
  if (why === undefined) return error;
  return new BoxRunError(error.code, `${action} ${path}: ${why}`, { cause: error.cause });
}

/** Creates the error for a connection that could not be opened, or was cut. */
export function connectionError(port: number, { stage, errno }: GuestFailure): BoxRunError {
  const known = ERRNO[errno];
  const details = known && { cause: errnoCause(...known) };
  if (errno === ECONNREFUSED) return portClosed(port, details);
  if (errno === ESHUTDOWN) return new BoxRunError("BOX_NOT_RUNNING", "the box is shutting down", details);
  const why = describeErrno(errno);
  if (stage === STAGES.limit)
    return new BoxRunError("RUNTIME_ERROR", `cannot connect to port ${port}: ${why}`, {
      ...details,
      retryable: true,
    });
  if (stage === STAGES.open)
    return new BoxRunError("RUNTIME_ERROR", `cannot connect to port ${port}: ${why}`, details);
  return new BoxRunError(
    "STREAM_INTERRUPTED",
    `the server on port ${port} cut the connection: ${why}`,
    details,
  );
}

/** Returns the outcome of a command that could not be started: that of a shell, or an error of the call. */
export function startFailure(
  cmd: readonly string[],
  workdir: string,
  failure: GuestFailure,
): { exitCode: number; stderr: string; hint: string | null } | BoxRunError {
  const why = describeErrno(failure.errno);
  if (failure.stage === STAGES.cwd)
    return invalid(
      `workdir ${workdir}: ${why}`,
      failure.errno === ENOENT ? "create it in the box first" : undefined,
    );
  if (failure.stage === STAGES.exec) {
    const isSearched = failure.errno === ENOENT && !cmd[0]!.includes("/");
    return {
      exitCode: failure.errno === ENOENT ? 127 : 126,
      stderr: `${cmd[0]}: ${isSearched ? `command not found, ${why}` : why}\n`,
      hint: failure.errno === ENOEXEC ? FORMAT_HINT : null,
    };
  }
  return new BoxRunError("RUNTIME_ERROR", `${cmd[0]} could not be started: ${why}`, {
    retryable: failure.stage === STAGES.limit,
  });
}
