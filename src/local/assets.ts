import * as z from "zod/mini";
import { BoxRunError } from "../errors.js";
import { toHex } from "../util/bytes.js";

/** Where the files that boxes are made of come from. One implementation a host; the rest of this file is the same everywhere. */
export interface AssetSource {
  /** For messages. */
  readonly location: string;
  /** The bytes of one file. Rejects when it cannot be had, whatever the reason. */
  read(file: string): Promise<Uint8Array>;
  /** Inflates gzip. Rejects when the result would be larger than `maxBytes`. */
  gunzip(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array>;
}

const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const name = z.string().check(z.regex(/^[a-z0-9][a-z0-9.-]{0,99}$/));

/** No asset is larger when inflated: a bound on what a damaged manifest can make us allocate. */
const MAX_ASSET_BYTES = 1 << 30;
const bytes = z.int().check(z.minimum(0), z.maximum(MAX_ASSET_BYTES));

const manifestSchema = z.object({
  version: z.literal(1),
  /** Every file by name: gzip of `rawBytes` bytes; `sha256` is of the file as it lies there, compressed. */
  files: z.record(name, z.object({ file: name, sha256, bytes, rawBytes: bytes })),
  images: z.array(
    z.object({
      name,
      aliases: z.array(z.string()),
      description: z.string(),
      /** The name of the base disk's file. */
      base: name,
      /** By memory size in MiB. `fingerprint` is of all that must match (see snapshot.ts). */
      snapshots: z.record(z.string(), z.object({ name, fingerprint: sha256 })),
    }),
  ),
});

/** The contents of `manifest.json`, which the build writes beside the assets. */
export type AssetManifest = z.infer<typeof manifestSchema>;
/** One image of the manifest. */
export type ImageManifest = AssetManifest["images"][number];

/** Loads the assets of one manifest, and never hands out bytes that are not the ones it names. */
export class Assets {
  constructor(
    readonly source: AssetSource,
    readonly manifest: AssetManifest,
  ) {}

  static async open(source: AssetSource): Promise<Assets> {
    const file = "manifest.json";
    const text = new TextDecoder().decode(await readFile(source, file));
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (cause) {
      throw damaged(source, file, "is not JSON", cause);
    }
    const parsed = manifestSchema.safeParse(json);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw damaged(source, file, `has a wrong ${issue?.path.join(".") || "form"}`, parsed.error);
    }
    return new Assets(source, parsed.data);
  }

  /** The verified, inflated bytes of one asset. IMAGE_PULL_FAILED when it is missing, damaged or not what the manifest says. */
  async load(assetName: string): Promise<Uint8Array> {
    const entry = this.manifest.files[assetName];
    if (!entry) throw damaged(this.source, "manifest.json", `does not list ${assetName}`);
    const compressed = await readFile(this.source, entry.file);
    if ((await sha256Hex(compressed)) !== entry.sha256) {
      throw damaged(this.source, entry.file, "does not have the hash that manifest.json gives");
    }
    let raw: Uint8Array;
    try {
      raw = await this.source.gunzip(compressed, entry.rawBytes);
    } catch (cause) {
      throw damaged(this.source, entry.file, "cannot be inflated", cause);
    }
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

async function readFile(source: AssetSource, file: string): Promise<Uint8Array> {
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

function damaged(source: AssetSource, file: string, what: string, cause?: unknown): BoxRunError {
  return new BoxRunError("IMAGE_PULL_FAILED", `${file} at ${source.location} ${what}`, {
    hint: "the assets must be those of this version of the package, unchanged",
    cause,
  });
}
