/**
 * All codes that a `BoxRunError` can have. The first twelve come from the BoxRun HTTP API, the others from this SDK.
 * Tell errors apart by code, never by message.
 */
export const ERROR_CODES = [
  "BOX_NOT_FOUND",
  "EXEC_NOT_FOUND",
  "NAME_ALREADY_EXISTS",
  "RESOURCE_EXCEEDED",
  "BOX_ALREADY_RUNNING",
  "BOX_NOT_RUNNING",
  "VALIDATION_ERROR",
  "IMAGE_PULL_FAILED",
  "TIMEOUT",
  "RUNTIME_ERROR",
  "CANCELED",
  "EXEC_ALREADY_FINISHED",
  "CONNECTION_FAILED",
  "PROTOCOL_ERROR",
  "STREAM_INTERRUPTED",
  "UNSUPPORTED",
  "STORAGE_FULL",
  "STATE_MISMATCH",
  "BOX_LOCKED",
  "COMMAND_FAILED",
  "PORT_CLOSED",
] as const;

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number];
