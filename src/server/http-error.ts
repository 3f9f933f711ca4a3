import { BoxRunError, errnoOf, isBoxRunError } from "../backend/errors.js";
import type { ErrorCode } from "../contract/codes.js";
import { STATUS_OF_CODE } from "../contract/statuses.js";

/** An error whose status is HTTP's business, not its code's. */
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

/** Errors that are the box's own words: what lies under others is the server's business. */
const OF_THE_BOX: readonly ErrorCode[] = ["RUNTIME_ERROR", "STORAGE_FULL"];

/** The answer to a request that failed. What is no error of ours says nothing of the inside. With `extensions` it also tells the errno that a box gave. */
export function errorResponse(error: unknown, { extensions }: { extensions: boolean }): Response {
  if (!isBoxRunError(error)) {
    return json(500, { code: "RUNTIME_ERROR", message: "the server failed at this request" });
  }
  const status = error instanceof HttpError ? (error.status ?? 400) : STATUS_OF_CODE[error.code];
  const headers = error instanceof HttpError ? error.headers : {};
  const errno = extensions && OF_THE_BOX.includes(error.code) ? errnoOf(error) : undefined;
  const { code, message } = error;
  return json(status, { code, message, ...(errno !== undefined && { errno }) }, headers);
}

/** A JSON response. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return jsonText(status, JSON.stringify(body), headers);
}

/** A response of JSON that is made already. */
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
