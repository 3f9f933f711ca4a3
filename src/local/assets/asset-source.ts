import { BoxRunError, isBoxRunError, refusedPermission } from "../../backend/errors.js";
import { COPY_HINT } from "./asset-places.js";

/** Options for reading a file. */
export interface ReadOptions {
  /** Whether to bypass every cache. @default false */
  fresh?: boolean;
  /** Called with the size of each piece that arrives, in bytes. A cached file arrives in one. */
  onBytes?: (count: number) => void;
  signal?: AbortSignal;
  /** Expected size of the file, at which reading may end even if there is more. */
  bytes?: number;
  /** Number of tries, within the time limit. @default 4 */
  tries?: number;
  /** Time, as `performance.now()` counts, at which the source gives up. @default {@link READ_LIMIT_MS} from now */
  until?: number;
}

/** Time limit of all tries together. A guest whose disk does not answer resets it after 30 s. */
export const READ_LIMIT_MS = 25_000;

/** The place of the files that boxes are made of. Each host has its own implementation. */
export interface AssetSource {
  /** Name for messages. */
  readonly location: string;
  /**
   * Reads a file whose name stands for its contents: it never changes, and may come from a cache. Rejects when it cannot be read, for whatever
   * reason; every try and wait inside has a limit.
   */
  read(file: string, options?: ReadOptions): Promise<Uint8Array>;
  /**
   * Reads a file that changes under its name. A cached one is used only when no newer one can be read that `isRight` accepts; only such files are cached. Without
   * a cached one, the result is what there is, right or wrong.
   */
  readLatest(file: string, isRight: (bytes: Uint8Array) => boolean): Promise<Uint8Array>;
  /** Resolves to true when the file would be read without the network. */
  isHere(file: string): Promise<boolean>;
  /** Inflates gzip. Rejects when the result would be larger than `maxBytes`. */
  gunzip(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array>;
  /** Stores inflated contents, if reading them is faster than inflating them again. They are verified like all others. */
  readonly inflated?: {
    get(file: string): Promise<Uint8Array | undefined>;
    put(file: string, contents: Uint8Array): Promise<void>;
  };
  /** True, or the reason why `read` stores nothing. */
  readonly keeps: true | string;
}

/** Creates the error for a file that cannot be read. */
export function unreachable(
  source: AssetSource,
  file: string,
  cause: unknown,
  hint = COPY_HINT,
): BoxRunError {
  if (isBoxRunError(cause)) return cause;
  const refused = refusedPermission(cause);
  if (refused) return refused;
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new BoxRunError("IMAGE_PULL_FAILED", `cannot read ${file} from ${source.location}${why}`, {
    retryable: true,
    hint: isPassing(cause)
      ? "connect to the network and try again; client.pull fetches an image ahead of time, for use offline"
      : hint,
    cause,
  });
}

/** A failure that another try may not meet: the network or the server was unavailable, rather than the file. */
export class PassingFailure extends Error {}

/** Returns true for the error of a file that could not be read for want of a network or a server. */
export function isOffline(error: unknown): boolean {
  return isBoxRunError(error) && isPassing(error.cause);
}

/** The cause of what is damaged where a server answers with a page of HTML, as those of single-page applications do for a file that they do not have. */
export class HtmlPage extends Error {}

/** Returns true for text that is a page of HTML. */
export function isHtml(bytes: Uint8Array): boolean {
  return /^\s*</.test(new TextDecoder().decode(bytes.subarray(0, 100)));
}

/** Returns true for the error of a file that is not there, as far as its server says. */
export function isMissing(error: unknown): boolean {
  if (!isBoxRunError(error) || error.code !== "IMAGE_PULL_FAILED") return false;
  return error.cause instanceof HtmlPage || (error.retryable && !isOffline(error));
}

function isPassing(cause: unknown): boolean {
  return cause instanceof PassingFailure || (cause as Partial<Error> | undefined)?.name === "TimeoutError";
}

/** Creates the error for a file with the wrong contents. */
export function damaged(
  source: AssetSource,
  file: string,
  what: string,
  {
    hint = `use the unmodified assets of this version of the package: ${COPY_HINT}`,
    cause,
  }: { hint?: string; cause?: unknown } = {},
): BoxRunError {
  return new BoxRunError("IMAGE_PULL_FAILED", `${file} at ${source.location} ${what}`, { hint, cause });
}
