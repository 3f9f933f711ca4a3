import { ERROR_CODES, type ErrorCode } from "../contract/codes.js";

export { ERROR_CODES, type ErrorCode } from "../contract/codes.js";

/** What a {@link BoxRunError} may carry beside its code and message. */
export interface ErrorDetails {
  /** HTTP status, when a server answered. */
  status?: number;
  /** True when the same call may succeed later without a change, and does nothing twice. Default false. */
  retryable?: boolean;
  /** What to do next, in one sentence. */
  hint?: string;
  /** The error underneath. */
  cause?: unknown;
  /** Method and path of the request that failed, where there was one. */
  method?: string;
  path?: string;
}

// Symbol.for is shared by all realms and by several copies of this package on one page.
const BRAND = Symbol.for("boxrun.error");

/**
 * The one error class of this SDK.
 *
 * @example
 * try {
 *   await client.getBox("gone");
 * } catch (error) {
 *   if (isBoxRunError(error) && error.code === "BOX_NOT_FOUND") await client.create("tiny", { name: "gone" });
 * }
 */
export class BoxRunError extends Error {
  override readonly name: string = "BoxRunError";
  readonly code: ErrorCode;
  readonly status: number | undefined;
  readonly retryable: boolean;
  readonly hint: string | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;

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
   * The error as plain data, for JSON, `postMessage` and `structuredClone`, which all leave only the message of an error itself. {@link isBoxRunError} knows it again.
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
 * True for a {@link BoxRunError} from any realm or copy of this package, where `instanceof` is not, and for what its `toJSON` gave.
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

/** The error of a wrong argument. */
export function invalid(message: string, hint?: string): BoxRunError {
  return new BoxRunError("VALIDATION_ERROR", message, hint === undefined ? {} : { hint });
}

/** What says which errno a box refused something with: the `cause` of its error. */
export function errnoCause(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code });
}

/** The name of the errno that a box refused something with: "ENOENT". */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { cause?: { code?: unknown } } | undefined)?.cause?.code;
  return isBoxRunError(error) && typeof code === "string" ? code : undefined;
}

/** The error of something that the runtime has not been allowed to do, as Deno tells it; undefined for any other error. */
export function refusedPermission(error: unknown): BoxRunError | undefined {
  if (!(error instanceof Error) || error.name !== "NotCapable") return undefined;
  return new BoxRunError("UNSUPPORTED", `a permission is missing: ${error.message}`, {
    hint: "in Deno local boxes need --allow-read, --allow-write, --allow-env and --allow-sys; servers, and assets on one, need --allow-net",
    cause: error,
  });
}

/** The error of something this backend cannot do; `hint` says what to use instead. */
export function unsupported(message: string, hint?: string): BoxRunError {
  return new BoxRunError("UNSUPPORTED", message, hint === undefined ? {} : { hint });
}
