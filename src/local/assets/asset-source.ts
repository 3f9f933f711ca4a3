import { BoxRunError, isBoxRunError, refusedPermission } from "../../backend/errors.js";

/** How a file is to be read. */
export interface ReadOptions {
  /** True: from where it comes from, past every cache. Default false. */
  fresh?: boolean;
  /** Told of each piece as it comes, in bytes. What is cached comes in one. */
  onBytes?: (count: number) => void;
  signal?: AbortSignal;
  /** What the file has, if it is the right one: reading may end where there is more. */
  bytes?: number;
  /** How often a source that tries again asks in all, within its limit of time. Default 4. */
  tries?: number;
  /** By `performance.now()`: when a source that waits gives up. Default {@link READ_LIMIT_MS} from now. */
  until?: number;
}

/** A guest whose disk does not answer resets it after 30 s: all tries together end before. */
export const READ_LIMIT_MS = 25_000;

/** Where the files that boxes are made of come from. One implementation a host. */
export interface AssetSource {
  /** For messages. */
  readonly location: string;
  /**
   * The bytes of a file whose name stands for its contents: it never changes, and may come from a cache. Rejects when it cannot be had, whatever the
   * reason; every try and wait inside has an end.
   */
  read(file: string, options?: ReadOptions): Promise<Uint8Array>;
  /** The bytes of a file that changes under its name: what was cached only when there is no newer to be had. */
  readLatest(file: string): Promise<Uint8Array>;
  /** True when the file would be read without the network. */
  isHere(file: string): Promise<boolean>;
  /** Inflates gzip. Rejects when the result would be larger than `maxBytes`. */
  gunzip(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array>;
  /** Keeps inflated contents, where reading them is faster than to inflate them again. They are checked as all else is. */
  readonly inflated?: {
    get(file: string): Promise<Uint8Array | undefined>;
    put(file: string, contents: Uint8Array): Promise<void>;
  };
  /** True, or why `read` keeps nothing for later. */
  readonly keeps: true | string;
}

/** The error of a file that cannot be had. */
export function unreachable(source: AssetSource, file: string, cause: unknown): BoxRunError {
  if (isBoxRunError(cause)) return cause;
  const refused = refusedPermission(cause);
  if (refused) return refused;
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new BoxRunError("IMAGE_PULL_FAILED", `${file} could not be read from ${source.location}${why}`, {
    retryable: true,
    hint: isPassing(cause)
      ? "connect this device to the network and try again; client.pull fetches an image ahead, for boxes without a network"
      : "serve the package's dist/assets folder there, or name another place with local.assets",
    cause,
  });
}

/** A failure to read that another try may not meet: the network or the server was not there, rather than the file. */
export class PassingFailure extends Error {}

/** True for the error of a file that could not be had for want of a network or a server. */
export function isOffline(error: unknown): boolean {
  return isBoxRunError(error) && isPassing(error.cause);
}

function isPassing(cause: unknown): boolean {
  return cause instanceof PassingFailure || (cause as Partial<Error> | undefined)?.name === "TimeoutError";
}

/** The error of a file that is not what it should be. */
export function damaged(source: AssetSource, file: string, what: string, cause?: unknown): BoxRunError {
  return new BoxRunError("IMAGE_PULL_FAILED", `${file} at ${source.location} ${what}`, {
    hint: "the assets must be those of this version of the package, unchanged",
    cause,
  });
}
