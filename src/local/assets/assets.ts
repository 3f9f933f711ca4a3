import { BoxRunError, isBoxRunError } from "../../backend/errors.js";
import { toHex } from "../../util/bytes.js";
import {
  type AssetSource,
  damaged,
  HtmlPage,
  isHtml,
  READ_LIMIT_MS,
  type ReadOptions,
  unreachable,
} from "./asset-source.js";
import type { AssetManifest } from "./manifest.js";

/** Size above which contents are also stored inflated, if the source can do that: inflating them again takes longer than reading them. */
const SLOW_TO_INFLATE_BYTES = 4 * 2 ** 20;

/** A file, with the size and hash of its contents. */
export interface VerifiedFile {
  file: string;
  /** Length of the file, compressed. */
  bytes: number;
  /** Length of its contents. */
  rawBytes: number;
  /** SHA-256 of its contents, in hex. It verifies them after transport, caches and inflation. */
  rawSha256: string;
  /** True for a file that is served as it is. @default false */
  isPlain?: boolean;
}

/** Loads the assets of one manifest, and never returns bytes other than those that it names. */
export class Assets {
  constructor(
    readonly source: AssetSource,
    readonly manifest: AssetManifest,
    private readonly onBytes?: (count: number) => void,
  ) {}

  /** Reads one asset, verified and inflated. @throws {BoxRunError} IMAGE_PULL_FAILED when it is missing, damaged or not the one in the manifest */
  async load(assetName: string): Promise<Uint8Array> {
    const entry = this.manifest.files[assetName];
    if (!entry) throw damaged(this.source, "manifest.json", `does not list ${assetName}`);
    const { file, bytes, rawBytes, rawSha256 } = entry;
    const inflated = rawBytes < SLOW_TO_INFLATE_BYTES ? undefined : this.source.inflated;
    // A cache that fails counts as empty.
    const kept = await inflated?.get(file).catch(() => undefined);
    if (kept && (await sha256Hex(kept)) === rawSha256) {
      this.onBytes?.(bytes);
      return kept;
    }
    const contents = await loadVerified(this.source, entry, this.onBytes ? { onBytes: this.onBytes } : {});
    void inflated?.put(file, contents).catch(() => {});
    return contents;
  }

  /** Compiles one asset. @throws {BoxRunError} IMAGE_PULL_FAILED; UNSUPPORTED when the page's policy does not permit WebAssembly */
  async compile(assetName: string): Promise<WebAssembly.Module> {
    const code = (await this.load(assetName)) as Uint8Array<ArrayBuffer>;
    return WebAssembly.compile(code).catch((cause) => {
      // The code is what was built: it is not the code that is refused.
      throw new BoxRunError("UNSUPPORTED", `WebAssembly is refused here: ${(cause as Error).message}`, {
        hint: "a Content-Security-Policy needs script-src 'wasm-unsafe-eval'",
        cause,
      });
    });
  }

  /** Returns the compressed size of the named assets together. */
  downloadBytes(names: readonly string[]): number {
    return names.reduce((sum, assetName) => sum + (this.manifest.files[assetName]?.bytes ?? 0), 0);
  }
}

/** Reads the inflated contents of a file. If they are wrong, reads them once more past all caches, one of which may be damaged. Both within one time limit. */
export async function loadVerified(
  source: AssetSource,
  entry: VerifiedFile,
  given: ReadOptions = {},
): Promise<Uint8Array> {
  const options = limited(entry, given);
  try {
    return await loadOnce(source, entry, options);
  } catch (error) {
    if (!isBoxRunError(error) || error.retryable) throw error;
    return loadOnce(source, entry, { ...options, fresh: true });
  }
}

function limited({ bytes }: VerifiedFile, options: ReadOptions): ReadOptions {
  return { ...options, bytes, until: performance.now() + READ_LIMIT_MS };
}

async function loadOnce(source: AssetSource, entry: VerifiedFile, options: ReadOptions): Promise<Uint8Array> {
  const { file, rawBytes, rawSha256, isPlain } = entry;
  const read = await readOnce(source, file, options);
  const contents = isPlain
    ? read
    : await source.gunzip(read, rawBytes).catch((cause) => {
        if (isHtml(read)) {
          throw damaged(source, file, `cannot be decompressed to ${rawBytes} bytes: it is a page of HTML`, {
            cause: new HtmlPage(file, { cause }),
          });
        }
        throw damaged(source, file, `cannot be decompressed to ${rawBytes} bytes`, { cause });
      });
  if (contents.byteLength !== rawBytes) {
    const when = isPlain ? "" : " when decompressed";
    throw damaged(source, file, `has ${contents.byteLength} bytes${when}, expected ${rawBytes}`);
  }
  if ((await sha256Hex(contents)) === rawSha256) return contents;
  throw damaged(source, file, "does not match its hash in the manifest");
}

/** Reads a file once. @throws {BoxRunError} IMAGE_PULL_FAILED when it cannot be read; rejects with the signal's reason */
async function readOnce(source: AssetSource, file: string, options: ReadOptions): Promise<Uint8Array> {
  try {
    return await source.read(file, options);
  } catch (cause) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw unreachable(source, file, cause);
  }
}

/** Returns the SHA-256 of bytes in lower-case hex. */
export async function sha256Hex(data: Uint8Array): Promise<string> {
  return toHex(await sha256(data));
}

async function sha256(data: Uint8Array): Promise<Uint8Array> {
  // Pages without https have no crypto.subtle.
  if (!crypto.subtle) return (await import("./sha256.js")).sha256(data);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>));
}
