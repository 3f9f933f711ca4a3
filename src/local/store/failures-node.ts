import { BoxRunError, refusedPermission } from "../../backend/errors.js";

/** Converts an error of the file system: STORAGE_FULL for a full disk, RUNTIME_ERROR with its message for all others. */
export function fileSystemError(error: unknown): unknown {
  const refused = refusedPermission(error);
  if (refused) return refused;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new BoxRunError("STORAGE_FULL", `no space left for the state folder: ${message}`, {
      retryable: true,
      hint: "free some space, or remove boxes",
      cause: error,
    });
  }
  if (typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) return error;
  return new BoxRunError("RUNTIME_ERROR", `cannot use the state folder: ${message}`, {
    hint: "set another with local.state or $BOXRUN_STATE_DIR, or store nothing with local.persistent: false",
    cause: error,
  });
}
