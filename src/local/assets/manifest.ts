import * as z from "zod/mini";
import { type AssetSource, damaged, unreachable } from "./asset-source.js";

const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
/** Not the one of these that every object has. */
const name = z.string().check(z.regex(/^(?!constructor$)[a-z0-9][a-z0-9.-]{0,99}$/));

/** No asset is larger when inflated: a bound on what a damaged manifest can make us allocate. */
const MAX_ASSET_BYTES = 1 << 30;
const bytes = z.int().check(z.minimum(0), z.maximum(MAX_ASSET_BYTES));

const manifestSchema = z.object({
  version: z.literal(3),
  /** Every file by name: gzip, `bytes` long, of `rawBytes` bytes whose SHA-256 is `rawSha256`. */
  files: z.record(name, z.object({ file: name, bytes, rawBytes: bytes, rawSha256: sha256 })),
  images: z.array(
    z.object({
      name,
      /** Other names that are true of it. */
      aliases: z.array(z.string()),
      /** References that it stands in for: something like it, refused under `strictImages`. */
      standsFor: z.array(z.string()),
      description: z.string(),
      /** The name of the list of its base disk's chunks, and the size and SHA-256 of that disk: see image-chunks.ts. */
      base: name,
      baseBytes: bytes,
      baseSha256: sha256,
      /** Of all chunks together, compressed. */
      baseDownloadBytes: bytes,
      snapshots: z.array(
        z.object({
          /** The same for two of one file: one for new boxes, one for any. */
          name,
          memoryMb: z.int(),
          /** The name of the template that a box's disk must begin with; null: it fits any disk. */
          disk: z.nullable(name),
          /** Of all that must match: see snapshot.ts. */
          fingerprint: sha256,
        }),
      ),
    }),
  ),
});

/** The contents of `manifest.json`, which the build writes beside the assets. */
export type AssetManifest = z.infer<typeof manifestSchema>;
/** One image of the manifest. */
export type ImageManifest = AssetManifest["images"][number];

/** Reads and checks `manifest.json`. IMAGE_PULL_FAILED when it is missing or of another form. */
export async function readManifest(source: AssetSource): Promise<AssetManifest> {
  const file = "manifest.json";
  const text = new TextDecoder().decode(
    await source.readLatest(file).catch((cause) => {
      throw unreachable(source, file, cause);
    }),
  );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(source, file, "is not JSON: the package's dist/assets folder is not served there", cause);
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw damaged(source, file, `has a wrong ${issue?.path.join(".") || "form"}`, parsed.error);
}
