import { ERROR_CODES, type ErrorCode } from "../contract/codes.js";

export { ERROR_CODES, type ErrorCode } from "../contract/codes.js";

/** Optional parts of a {@link BoxRunError}. */
export interface ErrorDetails {
  /** HTTP status of the answer, when a server gave one. */
  status?: number;
  /** Whether the same call may succeed later, and repeating it does nothing twice. @default false */
  retryable?: boolean;
  /** Advice on what to do next, in one sentence. It also stands in parentheses at the end of the message. */
  hint?: string;
  /** Error that led to this one. */
  cause?: unknown;
  /** HTTP method of the request that failed, where there was one. */
  method?: string;
  /** Path of the request that failed, where there was one. */
  path?: string;
}

// Symbol.for is shared by all realms and by several copies of this package on one page.
const BRAND = Symbol.for("boxrun.error");

/**
 * The error class of this SDK. Tell errors apart by `code`, with {@link isBoxRunError}: `instanceof` fails for errors of another realm or another copy of the
 * package.
 *
 * @example
 * try {
 *   await client.getBox("gone");
 * } catch (error) {
 *   if (isBoxRunError(error) && error.code === "BOX_NOT_FOUND") await client.create("tiny", { name: "gone" });
 * }
 */
export class BoxRunError extends Error {
  /** "BoxRunError", or the name of the subclass. */
  override readonly name: string = "BoxRunError";
  /** Kind of error: one of {@link ERROR_CODES}. */
  readonly code: ErrorCode;
  /** HTTP status of the answer, when a server gave one. */
  readonly status: number | undefined;
  /** True when the same call may succeed later, and repeating it does nothing twice. */
  readonly retryable: boolean;
  /** Advice on what to do next, in one sentence. It is part of the message, too. */
  readonly hint: string | undefined;
  /** HTTP method of the request that failed, where there was one. */
  readonly method: string | undefined;
  /** Path of the request that failed, where there was one. */
  readonly path: string | undefined;

  /** Creates an error, as a {@link Backend} of your own rejects with. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(
      details.hint ? `${message} (${details.hint})` : message,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.status = details.status;
    this.retryable = details.retryable ?? false;
    this.hint = details.hint;
    this.method = details.method;
    this.path = details.path;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /**
   * Returns the error as plain data for JSON, `postMessage` and `structuredClone`, which keep only the message of an error object. {@link isBoxRunError} is
   * true for this data, too.
   *
   * @example
   * worker.postMessage(isBoxRunError(error) ? error.toJSON() : String(error));
   */
  toJSON(): Record<string, unknown> {
    const { name, code, message, status, retryable, hint, method, path } = this;
    return { name, code, message, status, retryable, hint, method, path };
  }
}

/**
 * Returns true for a {@link BoxRunError} of any realm or copy of this package, and for the data that its `toJSON` returned.
 *
 * @example
 * if (isBoxRunError(error)) console.error(error.code, error.hint);
 */
export function isBoxRunError(error: unknown): error is BoxRunError {
  if (typeof error !== "object" || error === null) return false;
  const { [BRAND]: brand, name, code } = error as { [BRAND]?: unknown; name?: unknown; code?: unknown };
  if (brand === true) return true;
  return (name === "BoxRunError" || name === "ExitError") && ERROR_CODES.includes(code as ErrorCode);
}

/** Creates the error for a wrong argument. */
export function invalid(message: string, hint?: string): BoxRunError {
  return new BoxRunError("VALIDATION_ERROR", message, hint === undefined ? {} : { hint });
}

/** Creates the `cause` of an error that names the errno with which a box refused something. */
export function errnoCause(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code });
}

/** Returns the name of the errno with which a box refused something: "ENOENT". */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { cause?: { code?: unknown } } | undefined)?.cause?.code;
  return isBoxRunError(error) && typeof code === "string" ? code : undefined;
}

/** Creates the error for a permission that the runtime was not given, from Deno's error for it. Undefined for any other error. */
export function refusedPermission(error: unknown): BoxRunError | undefined {
  if (!(error instanceof Error) || error.name !== "NotCapable") return undefined;
  return new BoxRunError("UNSUPPORTED", `missing permission: ${error.message}`, {
    hint: "in Deno, local boxes need --allow-read, --allow-write, --allow-env and --allow-sys; servers and remote assets need --allow-net, volumes --allow-all",
    cause: error,
  });
}

/** Creates the error for something that this backend cannot do. `hint` says what to use instead. */
export function unsupported(message: string, hint?: string): BoxRunError {
  return new BoxRunError("UNSUPPORTED", message, hint === undefined ? {} : { hint });
}
