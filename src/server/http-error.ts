import { BoxRunError, errnoOf, isBoxRunError } from "../backend/errors.js";
import type { ErrorCode } from "../contract/codes.js";
import { STATUS_OF_CODE } from "../contract/statuses.js";

/** An error with an HTTP status other than that of its code. */
export class HttpError extends BoxRunError {
  constructor(
    status: number,
    message: string,
    readonly headers: Record<string, string> = {},
    code: ErrorCode = "VALIDATION_ERROR",
  ) {
    super(code, message, { status });
  }
}

/** Codes of errors that a box itself caused. The cause of any other error is internal to the server. */
const OF_THE_BOX: readonly ErrorCode[] = ["RUNTIME_ERROR", "STORAGE_FULL"];

/**
 * Creates the response to a request that failed. An unknown error reveals nothing of the server. With `extensions` the response names the errno that a box
 * gave.
 */
export function errorResponse(error: unknown, { extensions }: { extensions: boolean }): Response {
  const body = errorBody(error, { extensions });
  if (!isBoxRunError(error)) return json(500, body);
  const status = error instanceof HttpError ? (error.status ?? 400) : STATUS_OF_CODE[error.code];
  return json(status, body, error instanceof HttpError ? error.headers : {});
}

/** Returns the body of an error. An unknown one reveals nothing of the server. */
export function errorBody(error: unknown, { extensions }: { extensions: boolean }): object {
  if (!isBoxRunError(error)) return { code: "RUNTIME_ERROR", message: "internal server error" };
  const errno = extensions && OF_THE_BOX.includes(error.code) ? errnoOf(error) : undefined;
  const { code, message } = error;
  return { code, message, ...(errno !== undefined && { errno }) };
}

/** Creates a JSON response. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return jsonText(status, JSON.stringify(body), headers);
}

/** Creates a response from JSON text. */
export function jsonText(
  status: number,
  text: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Response {
  return new Response(text, {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}
