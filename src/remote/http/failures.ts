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

/** How much of a body that is not ours is shown. */
const EXCERPT_CHARS = 200;
/** Statuses that say: later, perhaps. */
const REFUSED = [425, 429, 503];
/** The same, but what was asked may have been done. */
const LOST = [408, 502, 504];
/** What says of the question that every BoxRun server answers that this is none. */
const NO_SUCH_ROUTE = [400, 404, 405, 501];
/** Codes of a connection that never was one: nothing was sent. */
const UNSENT = /REFUSED|NOTFOUND|AI_AGAIN|NOENT|CONNECT_TIMEOUT/i;

/** What was asked, for errors. */
export interface RequestLine {
  method: string;
  path: string;
  /** It does no more when it is sent twice. */
  again: boolean;
}

/** Of an answer that did not come: whether the same call may be made again. */
export function lostDetails(line: RequestLine): ErrorDetails {
  const hint = "it may have run: look before you send it again";
  return { ...line, retryable: line.again, ...(!line.again && { hint }) };
}

/** As it stands in messages. */
export function describeRequest({ method, path }: RequestLine): string {
  return `${method} ${path}`;
}

/** The error of an answer that is none: no connection, no answer in time, a connection lost. */
export function connectionFailed(line: RequestLine, server: string, cause: unknown): BoxRunError {
  const reason = innermost(cause);
  const unsent = UNSENT.test(`${(reason as { code?: unknown })?.code}`);
  const details: ErrorDetails = { ...lostDetails({ ...line, again: line.again || unsent }), cause };
  if (isInPage() && line.again) {
    details.hint =
      "a browser does not tell why. If the server runs, it is another origin, and sends no CORS headers. " +
      "Let the page's own server pass /v1 on to it, Host header kept, and use that as the baseUrl";
  }
  return new BoxRunError(
    "CONNECTION_FAILED",
    `${describeRequest(line)} (${server}): ${reasonOf(reason)}`,
    details,
  );
}

/** The error of an answer with a status that is not 2xx. `text` is its body, or the start of it; `renewed`: the next request has another token. */
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
    details.hint = "make the address it redirects to the baseUrl";
    return new BoxRunError(
      "PROTOCOL_ERROR",
      `${what}: the server redirects${to ? ` to ${to}` : ""}`,
      details,
    );
  }
  if (status === 413) details.hint = "the server, or what stands before it, takes no body of this size";
  if (status === 401 && !renewed) details.hint = "the option token must be the server's token";
  const told = errorOfText(line, text, details);
  if (told) return told;
  const excerpt = excerptOf(text);
  const said = `${what}: status ${status}`;
  if (line.path === ROUTES.info.path && NO_SUCH_ROUTE.includes(status))
    return protocolError(said, { ...line, ...details });
  return new BoxRunError("RUNTIME_ERROR", said + (excerpt && `: ${excerpt}`), details);
}

/** The error that a body tells of; undefined when it is none. */
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

/** Reads a body, or part of one. PROTOCOL_ERROR says what is wrong and where. */
export function read<T extends z.ZodMiniType>(
  schema: T,
  value: unknown,
  what: string,
  line?: RequestLine,
): z.infer<T> {
  const result = schema.safeParse(value, PARSE_OPTIONS);
  if (result.success) return result.data;
  throw protocolError(
    `${what}: the server's answer is not what it should be: ${describeIssue(result.error)}`,
    line,
  );
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

/** The error of a server that does not speak the API. */
export function protocolError(message: string, line?: RequestLine): BoxRunError {
  return new BoxRunError("PROTOCOL_ERROR", message, {
    ...line,
    hint: "is it a BoxRun server, the baseUrl without /v1, and nothing that answers in its place?",
  });
}

/** The error of an execution that has ended without an exit code, though nobody has ended it. `told`: what its stream says of that. */
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

/** The error of events of which no more can be had. */
export function interrupted(what: string, why: string, cause?: unknown): BoxRunError {
  const details = {
    hint: "box.execution(id) tells its state, once the server can",
    cause,
  };
  return new BoxRunError("STREAM_INTERRUPTED", `${what}: ${why}`, details);
}

/** The start of a text, on one line. */
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

/** Fetch itself says no more than "fetch failed". */
function innermost(error: unknown): unknown {
  let reason = error;
  while (reason instanceof Error && reason.cause instanceof Error) reason = reason.cause;
  return reason;
}

function reasonOf(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const { code } = reason as { code?: unknown };
  // A connection refused at every address of a host is an error of several, without words of its own.
  return reason.message || (typeof code === "string" ? code : reason.name);
}
