import type { ErrorCode } from "../contract/codes.js";
import { STATUS_OF_CODE } from "../contract/statuses.js";
import { BoxRunError, isBoxRunError } from "../errors.js";

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

/** The answer to a request that failed. What is no error of ours says nothing of the inside. */
export function errorResponse(error: unknown): Response {
  if (!isBoxRunError(error)) {
    return json(500, { code: "RUNTIME_ERROR", message: "the server failed at this request" });
  }
  const status = error instanceof HttpError ? (error.status ?? 400) : STATUS_OF_CODE[error.code];
  const headers = error instanceof HttpError ? error.headers : {};
  return json(status, { code: error.code, message: error.message }, headers);
}

/** A JSON response. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}
