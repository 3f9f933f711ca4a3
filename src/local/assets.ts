import { toHex } from "../util/bytes.js";
import { type AssetSource, damaged, readFile } from "./asset-source.js";
import type { AssetManifest } from "./manifest.js";

/** Loads the assets of one manifest, and never hands out bytes that are not the ones it names. */
export class Assets {
  constructor(
    readonly source: AssetSource,
    readonly manifest: AssetManifest,
  ) {}

  /** The verified, inflated bytes of one asset. IMAGE_PULL_FAILED when it is missing, damaged or not what the manifest says. */
  async load(assetName: string): Promise<Uint8Array> {
    const entry = this.manifest.files[assetName];
    if (!entry) throw damaged(this.source, "manifest.json", `does not list ${assetName}`);
    const compressed = await readFile(this.source, entry.file);
    // Both at once, off this thread: bytes with a wrong hash are inflated for nothing, and never handed out.
    const [hash, inflated] = await Promise.allSettled([
      sha256Hex(compressed),
      this.source.gunzip(compressed, entry.rawBytes),
    ]);
    if (hash.status === "rejected" || hash.value !== entry.sha256) {
      throw damaged(this.source, entry.file, "does not have the hash that manifest.json gives");
    }
    if (inflated.status === "rejected") {
      throw damaged(this.source, entry.file, "cannot be inflated", inflated.reason);
    }
    const raw = inflated.value;
    if (raw.byteLength !== entry.rawBytes) throw damaged(this.source, entry.file, "has a wrong size");
    return raw;
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

/** Lower-case hex of the SHA-256 of bytes. */
export async function sha256Hex(data: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", data as Uint8Array<ArrayBuffer>)));
}
