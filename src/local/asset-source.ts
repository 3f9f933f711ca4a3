import { BoxRunError } from "../errors.js";

/** Where the files that boxes are made of come from. One implementation a host; the rest of this file is the same everywhere. */
export interface AssetSource {
  /** For messages. */
  readonly location: string;
  /** The bytes of one file. Rejects when it cannot be had, whatever the reason. */
  read(file: string): Promise<Uint8Array>;
  /** Inflates gzip. Rejects when the result would be larger than `maxBytes`. */
  gunzip(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array>;
}

/** The bytes of one file. IMAGE_PULL_FAILED when it cannot be had. */
export async function readFile(source: AssetSource, file: string): Promise<Uint8Array> {
  try {
    return await source.read(file);
  } catch (cause) {
    throw new BoxRunError("IMAGE_PULL_FAILED", `${file} could not be read from ${source.location}`, {
      retryable: true,
      hint: "serve the package's dist/assets folder there, or name another place with local.assets",
      cause,
    });
  }
}

/** The error of a file that is not what it should be. */
export function damaged(source: AssetSource, file: string, what: string, cause?: unknown): BoxRunError {
  return new BoxRunError("IMAGE_PULL_FAILED", `${file} at ${source.location} ${what}`, {
    hint: "the assets must be those of this version of the package, unchanged",
    cause,
  });
}
