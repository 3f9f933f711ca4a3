import type * as z from "zod/mini";
import type { ExecInfo } from "../../backend/backend.js";
import {
  BoxRunError,
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  errnoCause,
} from "../../backend/errors.js";
import { describeIssue, PARSE_OPTIONS } from "../../contract/issues.js";
import { ROUTES } from "../../contract/routes.js";
import { wireError } from "../../contract/wire.js";
import { isInPage } from "../../util/runtime.js";

/** Number of characters of a foreign body that a message shows. */
const EXCERPT_CHARS = 200;
/** Statuses that ask the client to try again later. */
const REFUSED = [425, 429, 503];
/** Statuses that ask for the same, but the request may have been carried out. */
const LOST = [408, 502, 504];
/** Statuses of `GET /v1/info` that mean that this is not a BoxRun server. */
const NO_SUCH_ROUTE = [400, 404, 405, 501];
/** Error codes of connections that were never made: nothing was sent. */
const UNSENT = /REFUSED|NOTFOUND|AI_AGAIN|NOENT|CONNECT_TIMEOUT/i;

/** Error codes of a place where nobody listens. */
const DOWN = /^(ECONNREFUSED|ConnectionRefused|ENOENT|FailedToOpenSocket)$/;
/** Meanings of common codes, for messages that name the address already. */
const PLAIN_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ENOTFOUND: "no such host",
};

/** A request, as errors describe it. */
export interface RequestLine {
  method: string;
  path: string;
  /** Whether sending it twice has the same effect as sending it once. */
  again: boolean;
}

/** Returns the details of an error for a missing answer: whether the same call may be made again. */
export function lostDetails(line: RequestLine): ErrorDetails {
  const hint = "it may have run: check before you repeat it";
  return { ...line, retryable: line.again, ...(!line.again && { hint }) };
}

/** Returns a request as messages show it. */
export function describeRequest({ method, path }: RequestLine): string {
  return `${method} ${path}`;
}

/** Creates the error for a missing answer: no connection, no answer in time, or a lost connection. */
export function connectionFailed(line: RequestLine, server: string, cause: unknown): BoxRunError {
  const reason = innermost(cause);
  const errno = `${(reason as { code?: unknown })?.code}`;
  const unsent = UNSENT.test(errno);
  const details: ErrorDetails = { ...lostDetails({ ...line, again: line.again || unsent }), cause };
  if (DOWN.test(errno)) details.hint = "is the server running? npx boxrun serve starts one";
  if (isInPage() && line.again) {
    details.hint =
      "a browser does not say why. If the server is running, it is another origin and sends no CORS headers. " +
      "Have the page's own server forward /v1 to it, with the Host header unchanged, and use that as baseUrl";
  }
  return new BoxRunError(
    "CONNECTION_FAILED",
    `${describeRequest(line)} (${server}): ${reasonOf(reason)}`,
    details,
  );
}

/** Creates the error for an answer whose status is not 2xx. `text` is its body, or the start of it; `renewed` says that the next request has another token. */
export function errorOfResponse(
  line: RequestLine,
  response: Response,
  text: string,
  renewed = false,
): BoxRunError {
  const { status } = response;
  const what = describeRequest(line);
  const retryable = renewed || REFUSED.includes(status);
  const details: ErrorDetails = {
    ...line,
    retryable,
    ...(LOST.includes(status) && lostDetails(line)),
    status,
  };
  if (response.type === "opaqueredirect" || (status >= 300 && status < 400)) {
    const to = response.headers.get("location");
    details.hint = "use the redirect's target as baseUrl";
    return new BoxRunError(
      "PROTOCOL_ERROR",
      `${what}: the server redirects${to ? ` to ${to}` : ""}`,
      details,
    );
  }
  if (status === 413) details.hint = "the server, or a proxy before it, does not accept a body of this size";
  if (status === 401 && !renewed) details.hint = "set the option token to the server's token";
  const told = errorOfText(line, text, details);
  if (told) return told;
  const excerpt = excerptOf(text);
  const said = `${what}: status ${status}`;
  if (line.path === ROUTES.info.path && NO_SUCH_ROUTE.includes(status))
    return protocolError(said, { ...line, ...details });
  return new BoxRunError("RUNTIME_ERROR", said + (excerpt && `: ${excerpt}`), details);
}

/** Creates the error that a body describes; undefined when it does not describe one. */
export function errorOfText(
  line: RequestLine,
  text: string,
  details: ErrorDetails = line,
): BoxRunError | undefined {
  const body = wireError.safeParse(parseJson(text));
  if (!body.success) return undefined;
  const { code, message, errno } = body.data;
  const what = describeRequest(line);
  const cause = errno && errnoCause(errno, message);
  const told: ErrorDetails = cause ? { ...details, cause } : details;
  if (isErrorCode(code)) return new BoxRunError(code, `${what}: ${message}`, told);
  return new BoxRunError("RUNTIME_ERROR", `${what}: ${code}: ${message}`, told);
}

/** Reads a body or part of one by a schema. @throws {BoxRunError} PROTOCOL_ERROR, naming what is wrong and where */
export function read<T extends z.ZodMiniType>(
  schema: T,
  value: unknown,
  what: string,
  line?: RequestLine,
): z.infer<T> {
  const result = schema.safeParse(value, PARSE_OPTIONS);
  if (result.success) return result.data;
  throw protocolError(`${what}: unexpected answer from the server: ${describeIssue(result.error)}`, line);
}

/** Reads a body of JSON. */
export function readJson<T extends z.ZodMiniType>(schema: T, text: string, line: RequestLine): z.infer<T> {
  const value = parseJson(text);
  const what = describeRequest(line);
  if (value === undefined) {
    throw protocolError(
      `${what}: the server's answer is not JSON: ${excerptOf(text) || "it is empty"}`,
      line,
    );
  }
  return read(schema, value, what, line);
}

/** Creates the error for a server that does not speak the API. */
export function protocolError(message: string, line?: RequestLine): BoxRunError {
  return new BoxRunError("PROTOCOL_ERROR", message, {
    ...line,
    hint: "check that this is a BoxRun server, and that nothing else answers in its place",
  });
}

/** Creates the error for an execution that ended without an exit code, although nobody ended it. `told` is the reason that its stream gave. */
export function unknownEnd(
  what: string,
  { status, errorMessage }: Pick<ExecInfo, "status" | "errorMessage">,
  told: string | null = null,
): BoxRunError {
  const reason = errorMessage ?? told;
  return reason === null
    ? interrupted(what, `the server does not know how it ended (status ${status})`)
    : new BoxRunError("RUNTIME_ERROR", `${what}: ${reason}`);
}

/** Creates the error for a stream of events that cannot be continued. */
export function interrupted(what: string, why: string, cause?: unknown): BoxRunError {
  const details = {
    hint: "box.execution(id) tells its state once the server can",
    cause,
  };
  return new BoxRunError("STREAM_INTERRUPTED", `${what}: ${why}`, details);
}

/** Returns the start of a text, on one line. */
export function excerptOf(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > EXCERPT_CHARS ? `${line.slice(0, EXCERPT_CHARS)}…` : line;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return (ERROR_CODES as readonly string[]).includes(code);
}

/** Returns the innermost cause: `fetch` itself only says "fetch failed". */
function innermost(error: unknown): unknown {
  let reason = error;
  while (reason instanceof Error && reason.cause instanceof Error) reason = reason.cause;
  return reason;
}

function reasonOf(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const { code } = reason as { code?: unknown };
  // A connection that is refused at every address of a host is an AggregateError without a message.
  const words = typeof code === "string" ? PLAIN_WORDS[code] : undefined;
  if (words !== undefined) return `${words} (${code})`;
  return reason.message || (typeof code === "string" ? code : reason.name);
}
