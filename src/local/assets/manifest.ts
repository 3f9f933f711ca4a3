import * as z from "zod/mini";
import { COPY_HINT } from "./asset-places.js";
import { type AssetSource, damaged, isHtml, unreachable } from "./asset-source.js";

const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
/** Schema of a name, which must not be one that every object has. */
const name = z.string().check(z.regex(/^(?!constructor$)[a-z0-9][a-z0-9.-]{0,99}$/));

/** Limit of an asset's inflated size, which bounds the memory that a damaged manifest can make us allocate. */
const MAX_ASSET_BYTES = 1 << 30;
const bytes = z.int().check(z.minimum(0), z.maximum(MAX_ASSET_BYTES));

const manifestSchema = z.object({
  version: z.literal(4),
  /** Version of the package that these assets belong to. Early manifests do not say. */
  boxrun: z.optional(z.string()),
  /** Script of the Worker in pages, as it is. */
  worker: z.optional(z.object({ file: name, bytes, rawSha256: sha256 })),
  /** All files by name: gzip, `bytes` long, of `rawBytes` bytes whose SHA-256 is `rawSha256`. */
  files: z.record(name, z.object({ file: name, bytes, rawBytes: bytes, rawSha256: sha256 })),
  images: z.array(
    z.object({
      name,
      /** Other names of the same image. */
      aliases: z.array(z.string()),
      /** References that it stands in for: a similar image, refused under `strictImages`. */
      standsFor: z.array(z.string()),
      description: z.string(),
      /** Name of the package that has the image's files, where they may not be beside this manifest. */
      package: z.optional(z.string().check(z.regex(/^(@[a-z0-9-]+\/)?[a-z0-9-]{1,99}$/))),
      /** Name of the list of its base disk's chunks, and size and SHA-256 of that disk: see image-chunks.ts. */
      base: name,
      baseBytes: bytes,
      baseSha256: sha256,
      /** Compressed size of all chunks together. */
      baseDownloadBytes: bytes,
      bootImages: z.array(
        z.object({
          /** Name of the file. It is the same for two boot images in one file: one for new boxes, one for any. */
          name,
          memoryMb: z.int(),
          /** Name of the template that a box's disk must begin with; null: the boot image fits any disk. */
          disk: z.nullable(name),
          /** Fingerprint of everything that must match: see boot-image.ts. */
          fingerprint: sha256,
        }),
      ),
    }),
  ),
});

/** The contents of `manifest.json`, which the build writes beside the assets. */
export type AssetManifest = z.infer<typeof manifestSchema>;
/** An image in the manifest. */
export type ImageManifest = AssetManifest["images"][number];

/** Reads and checks `manifest.json`. `hint` is advice for when it is missing or malformed. @throws {BoxRunError} IMAGE_PULL_FAILED */
export async function readManifest(source: AssetSource, hint = COPY_HINT): Promise<AssetManifest> {
  const file = "manifest.json";
  const contents = await source
    .readLatest(file, (bytes) => parseManifest(bytes).manifest !== undefined)
    .catch((cause) => {
      throw unreachable(source, file, cause, hint);
    });
  const { manifest, problem, cause } = parseManifest(contents);
  if (manifest) return manifest;
  throw damaged(source, file, problem, { cause, hint });
}

type Parsed =
  | { manifest: AssetManifest; problem?: never; cause?: never }
  | { manifest?: never; problem: string; cause: unknown };

function parseManifest(contents: Uint8Array): Parsed {
  const text = new TextDecoder().decode(contents);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    // Servers of single-page applications answer any path with the page.
    const what = isHtml(contents) ? "is not JSON but a page of HTML" : "is not JSON";
    return { problem: `${what}: no assets are served there`, cause };
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return { manifest: parsed.data };
  const issue = parsed.error.issues[0];
  return { problem: `has an invalid ${issue?.path.join(".") || "format"}`, cause: parsed.error };
}
