import { isBoxRunError } from "../../backend/errors.js";
import { toHex } from "../../util/bytes.js";
import { type AssetSource, damaged, READ_LIMIT_MS, type ReadOptions, unreachable } from "./asset-source.js";
import type { AssetManifest } from "./manifest.js";

/** Contents larger than this are kept inflated too, where the source can do that: inflating them again takes longer than reading them. */
const SLOW_TO_INFLATE_BYTES = 4 * 2 ** 20;

/** A file, and what must be in it. */
export interface VerifiedFile {
  file: string;
  /** Length of the file as it lies there, compressed. */
  bytes: number;
  /** Length of its contents. */
  rawBytes: number;
  /** SHA-256 of its contents, in hex: whatever has carried, kept and inflated them, they are the ones that were made. */
  rawSha256: string;
}

/** Loads the assets of one manifest, and never hands out bytes that are not the ones it names. */
export class Assets {
  constructor(
    readonly source: AssetSource,
    readonly manifest: AssetManifest,
    private readonly onBytes?: (count: number) => void,
  ) {}

  /** The verified, inflated bytes of one asset. IMAGE_PULL_FAILED when it is missing, damaged or not what the manifest says. */
  async load(assetName: string): Promise<Uint8Array> {
    const entry = this.manifest.files[assetName];
    if (!entry) throw damaged(this.source, "manifest.json", `does not list ${assetName}`);
    const { file, bytes, rawBytes, rawSha256 } = entry;
    const inflated = rawBytes < SLOW_TO_INFLATE_BYTES ? undefined : this.source.inflated;
    // A cache that fails is one that has nothing.
    const kept = await inflated?.get(file).catch(() => undefined);
    if (kept && (await sha256Hex(kept)) === rawSha256) {
      this.onBytes?.(bytes);
      return kept;
    }
    const contents = await loadVerified(this.source, entry, this.onBytes ? { onBytes: this.onBytes } : {});
    void inflated?.put(file, contents).catch(() => {});
    return contents;
  }

  /** One asset, compiled. */
  async compile(assetName: string): Promise<WebAssembly.Module> {
    return WebAssembly.compile((await this.load(assetName)) as Uint8Array<ArrayBuffer>);
  }

  /** Compressed bytes of the named assets together. */
  downloadBytes(names: readonly string[]): number {
    return names.reduce((sum, assetName) => sum + (this.manifest.files[assetName]?.bytes ?? 0), 0);
  }
}

/** The inflated contents of a file. What is not as it should be is read once more, past all caches: one of them may be damaged. Both within one limit. */
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
  const { file, rawBytes, rawSha256 } = entry;
  const compressed = await read(source, file, options);
  const contents = await source.gunzip(compressed, rawBytes).catch((cause) => {
    throw damaged(source, file, `cannot be inflated into ${rawBytes} bytes`, cause);
  });
  if (contents.byteLength !== rawBytes) {
    throw damaged(source, file, `has ${contents.byteLength} bytes in it, not ${rawBytes}`);
  }
  if ((await sha256Hex(contents)) === rawSha256) return contents;
  throw damaged(source, file, "has other bytes in it than the manifest names");
}

/** IMAGE_PULL_FAILED when it cannot be had; the signal's reason. */
async function read(source: AssetSource, file: string, options: ReadOptions): Promise<Uint8Array> {
  try {
    return await source.read(file, options);
  } catch (cause) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw unreachable(source, file, cause);
  }
}

/** Lower-case hex of the SHA-256 of bytes. */
export async function sha256Hex(data: Uint8Array): Promise<string> {
  return toHex(await sha256(data));
}

async function sha256(data: Uint8Array): Promise<Uint8Array> {
  // Pages that are not served securely have no crypto.subtle.
  if (!crypto.subtle) return (await import("@noble/hashes/sha2.js")).sha256(data);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>));
}
