import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
import { isBoxRunError } from "../../../src/backend/errors.js";
import type { AssetSource } from "../../../src/local/assets/asset-source.js";
import { Assets } from "../../../src/local/assets/assets.js";
import { IMAGE_CHUNK_BYTES, ImageChunks } from "../../../src/local/assets/image-chunks.js";
import { readManifest } from "../../../src/local/assets/manifest.js";
import { ImageCatalog } from "../../../src/local/boxes/image-catalog.js";
import type { Host } from "../../../src/local/host/host.js";
import {
  type BootImage,
  decodeBootImage,
  encodeBootImage,
  PAGE_BYTES,
  unpackPages,
} from "../../../src/local/machine/boot-image.js";
import { decodeTemplate } from "../../../src/local/machine/disk-template.js";
import { join, type Mutator } from "./mutate.js";
import { heldBytes, refusal, rule, type Taken, type Target } from "./target.js";

const encoder = new TextEncoder();
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const isPullFailed = (error: unknown) => isBoxRunError(error) && error.code === "IMAGE_PULL_FAILED";
/** A chunk that cannot be made smaller is a little larger than what is in it. */
const MAX_CHUNK_READ = IMAGE_CHUNK_BYTES + 4096;
const KEPT_CHUNKS = 64;

/** A small image of three chunks, the last of them short, as the build makes them; and everything else that a manifest lists. */
const IMAGE_BYTES = 2 * IMAGE_CHUNK_BYTES + 1000;
const contents = Uint8Array.from({ length: IMAGE_BYTES }, (_, i) => (i % 251) + (i >> 18));
const files = new Map<string, Uint8Array>();
/** Hashes of all there is, inflated. */
const raws = new Set<string>();
const base = join(
  [0, 1, 2].map((i) => {
    const raw = contents.subarray(i * IMAGE_CHUNK_BYTES, (i + 1) * IMAGE_CHUNK_BYTES);
    const packed = new Uint8Array(gzipSync(raw));
    const hash = sha256(raw);
    files.set(`chunks/${hash.slice(0, 20)}.bin`, packed);
    const entry = new Uint8Array(36);
    entry.set(Buffer.from(hash, "hex"));
    new DataView(entry.buffer).setUint32(32, packed.byteLength, true);
    return entry;
  }),
);

function listed(file: string, raw: Uint8Array) {
  const packed = new Uint8Array(gzipSync(raw));
  files.set(file, packed);
  raws.add(sha256(raw));
  return { file, bytes: packed.byteLength, rawBytes: raw.byteLength, rawSha256: sha256(raw) };
}

const NAMES = ["tiny.chunks", "v86.wasm", "disk-8g", "tiny-1024"];
const MANIFEST = {
  version: 4,
  files: {
    "tiny.chunks": listed("tiny.chunks.0.bin", base),
    "v86.wasm": listed("v86.wasm.0.bin", encoder.encode("emulator")),
    "disk-8g": listed("disk-8g.0.bin", new Uint8Array(5000)),
    "tiny-1024": listed("tiny-1024.0.bin", new Uint8Array(3000).fill(7)),
  },
  images: [
    {
      name: "tiny",
      aliases: ["busybox"],
      standsFor: ["alpine"],
      description: "BusyBox",
      base: "tiny.chunks",
      baseBytes: IMAGE_BYTES,
      baseSha256: sha256(contents),
      baseDownloadBytes: 5000,
      bootImages: [{ name: "tiny-1024", memoryMb: 1024, disk: "disk-8g", fingerprint: "0".repeat(64) }],
    },
  ],
};
const MANIFEST_BYTES = encoder.encode(JSON.stringify(MANIFEST));

/** Files as a server has them that may give others. */
function sourceOf(
  manifest: Uint8Array,
  change: (file: string, bytes: Uint8Array) => Uint8Array,
  broken: string[],
): AssetSource {
  return {
    location: "http://assets.test/",
    keeps: true,
    isHere: async (file) => {
      if (typeof file !== "string") broken.push("it asks for a file without a name");
      return false;
    },
    readLatest: async () => manifest,
    read: async (file, { bytes: most } = {}) => {
      const limit = file.startsWith("chunks/") ? MAX_CHUNK_READ : 2 ** 30;
      // What is thrown here would be taken for a file that cannot be had.
      if (most === undefined || most < 0 || most > limit) broken.push(`of ${file} ${most} bytes are read`);
      const bytes = files.get(file);
      if (!bytes) throw new Error("not found");
      return change(file, bytes);
    },
    // As the host's: no more than is expected.
    gunzip: async (bytes, maxBytes) =>
      new Uint8Array(gunzipSync(bytes, { maxOutputLength: Math.max(64, Math.min(maxBytes, 2 ** 22)) })),
  };
}

const host = (source: AssetSource): Host =>
  ({
    assetPlaces: () => ({ locations: [source.location], hint: "" }),
    openSource: () => source,
  }) as unknown as Host;

/** What a caller does with assets: looks at all, loads one, reads an image. Rejects with what refuses any of it. */
async function use(source: AssetSource, { random }: Mutator): Promise<number> {
  const manifest = await readManifest(source);
  const assets = new Assets(source, manifest);
  const catalog = new ImageCatalog(host(source), {});
  const infos = await catalog.list();
  for (const { downloadBytes, totalBytes } of infos)
    rule(downloadBytes >= 0 && totalBytes >= 0, "sizes are no numbers");
  const image = random.pick(manifest.images);
  if (!image) return heldBytes(manifest);
  const loaded = await assets.load(random.chance(0.8) ? random.pick(NAMES) : image.base);
  rule(raws.has(sha256(loaded)), "an asset is not what its hash says");
  const chunks = await ImageChunks.open(assets, image);
  for (let i = 0; i < 3; i++) {
    const number = random.between(0, Math.max(0, Math.ceil(image.baseBytes / IMAGE_CHUNK_BYTES) - 1));
    if (image.baseBytes === 0) break;
    const chunk = await chunks.get(number);
    const right = contents.subarray(number * IMAGE_CHUNK_BYTES, (number + 1) * IMAGE_CHUNK_BYTES);
    rule(Buffer.compare(chunk, right) === 0, "a chunk is not what its hash says");
    // What is read ahead belongs to this input.
    await Promise.allSettled(chunks["loading"].values());
  }
  rule(chunks["kept"].size <= KEPT_CHUNKS, "it keeps too many chunks");
  if (random.chance(0.3)) await catalog.pull(random.chance(0.5) ? image.name : "tiny", {});
  return heldBytes(manifest) + heldBytes([...chunks["kept"].values()]);
}

const assetFiles: Target = {
  name: "manifests, and files of images",
  async run(mutator): Promise<Taken> {
    const { random } = mutator;
    const sound = random.chance(0.05);
    let manifest: Uint8Array = MANIFEST_BYTES;
    let wrong: string | undefined;
    if (!sound && random.chance(0.3)) wrong = random.pick([...files.keys()]);
    else if (!sound && random.chance(0.7)) manifest = encoder.encode(JSON.stringify(mutator.json(MANIFEST)));
    else if (!sound) manifest = mutator.mutate(MANIFEST_BYTES, [MANIFEST_BYTES, base]);
    const broken: string[] = [];
    const change = (file: string, bytes: Uint8Array) => {
      if (file !== wrong) return bytes;
      return random.chance(0.5) ? other(bytes, mutator) : mutator.mutate(bytes, [...files.values()]);
    };
    try {
      return { accepted: true, held: await use(sourceOf(manifest, change, broken), mutator) };
    } catch (error) {
      if (sound || !isPullFailed(error)) throw error;
      return { accepted: false };
    } finally {
      rule(broken.length === 0, broken.join());
    }
  },
};

/** The same file with one byte changed, whole for all that gzip knows. */
function other(packed: Uint8Array, { random }: Mutator): Uint8Array {
  const raw = gunzipSync(packed);
  if (raw.byteLength > 0) raw[random.between(0, raw.byteLength - 1)]! ^= 1;
  return new Uint8Array(gzipSync(raw));
}

/** A list of chunks that was made to do harm has the right hash: that of its maker. */
const chunkLists: Target = {
  name: "lists of chunks",
  async run(mutator): Promise<Taken> {
    const list = mutator.random.chance(0.05) ? base : mutator.mutate(base, [...files.values()]);
    const broken: string[] = [];
    const packed = new Uint8Array(gzipSync(list, { level: 0 }));
    const entry = {
      file: "own.bin",
      bytes: packed.byteLength,
      rawBytes: list.byteLength,
      rawSha256: sha256(list),
    };
    const image = {
      ...MANIFEST.images[0]!,
      base: "own",
      baseBytes: mutator.random.chance(0.7) ? IMAGE_BYTES : mutator.random.size(2 ** 30),
    };
    const source = sourceOf(MANIFEST_BYTES, (_, bytes) => bytes, broken);
    const read = source.read;
    source.read = async (file, options) => (file === "own.bin" ? packed : read(file, options));
    try {
      const chunks = await ImageChunks.open(
        new Assets(source, { version: 4, files: { own: entry }, images: [image] }),
        image,
      );
      if (image.baseBytes === 0) return { accepted: true };
      const chunk = await chunks.get(0);
      rule(
        Buffer.compare(chunk, contents.subarray(0, IMAGE_CHUNK_BYTES)) === 0,
        "a chunk is not what its hash says",
      );
      await Promise.allSettled(chunks["loading"].values());
      return { accepted: true, held: heldBytes(chunks["files"]) };
    } catch (error) {
      if (!isPullFailed(error)) throw error;
      return { accepted: false };
    } finally {
      rule(broken.length === 0, broken.join());
    }
  },
};

const ID = "1".repeat(64);
const MEMORY_MB = 1;
const BOOT_IMAGE: BootImage = {
  fingerprint: ID,
  memoryMb: MEMORY_MB,
  state: new Uint8Array(100).fill(1),
  disk: new Uint8Array(60).fill(2),
  pieces: [
    { page: 0, bytes: new Uint8Array(PAGE_BYTES).fill(9) },
    { page: 5, bytes: new Uint8Array(PAGE_BYTES).fill(9) },
  ],
  continued: [1, 3],
};
const OTHER_ID = "2".repeat(64);
const OTHER: BootImage = {
  ...BOOT_IMAGE,
  fingerprint: OTHER_ID,
  state: new Uint8Array(90).fill(1),
  pieces: [
    { page: 5, bytes: new Uint8Array(PAGE_BYTES).fill(9) },
    { page: 7, bytes: new Uint8Array(PAGE_BYTES).fill(8) },
  ],
};
const BOTH = encodeBootImage(BOOT_IMAGE, OTHER);
const HEADER_END = 12 + new DataView(BOTH.buffer).getUint32(8, true);
const HEADER = JSON.parse(new TextDecoder().decode(BOTH.subarray(12, HEADER_END)));
const memory = new Uint8Array(MEMORY_MB * 2 ** 20);
/** What is wrong with a boot image is told as the reason for a cold boot. */
const isReason = (error: unknown) =>
  error instanceof Error && error.constructor === Error && error.message.startsWith("it");

const bootImages: Target = {
  name: "boot images",
  run(mutator): Taken {
    const { random } = mutator;
    if (random.chance(0.05)) {
      const back = [ID, OTHER_ID].map((id) => decodeBootImage(BOTH, id, MEMORY_MB));
      rule(isDeepStrictEqual(back, [BOOT_IMAGE, OTHER]), "a boot image did not come back as it was");
      return { accepted: true, held: heldBytes(back) };
    }
    const text = encoder.encode(JSON.stringify(random.chance(0.6) ? mutator.json(HEADER) : HEADER));
    const prefix = new Uint8Array(Uint32Array.of(0x4e535842, 2, text.byteLength).buffer);
    const whole = join([prefix, text, BOTH.subarray(HEADER_END)]);
    const bytes = random.chance(0.6) ? mutator.mutate(whole, [whole, text]) : whole;
    let held = 0;
    const error = refusal(() => {
      const bootImage = decodeBootImage(bytes, random.chance(0.5) ? ID : OTHER_ID, MEMORY_MB);
      held = bootImage.state.buffer.byteLength;
      rule(held <= bytes.byteLength, "the state is larger than the boot image");
      if (bootImage.pieces.length + bootImage.continued.length < 20) unpackPages(bootImage, memory);
    }, isReason);
    return { accepted: !error, held };
  },
};

const TEMPLATE = join([
  new Uint8Array(Uint32Array.of(0x50535842, 1, 0, 16, 2, 0, 0, 10, 4096, 1, 20).buffer),
  new Uint8Array(30).fill(3),
]);
const isTemplateError = (error: unknown) =>
  error instanceof Error && error.message.startsWith("the disk template");

const templates: Target = {
  name: "templates of disks",
  run(mutator): Taken {
    const bytes = mutator.random.chance(0.05) ? TEMPLATE : mutator.mutate(TEMPLATE);
    let held = 0;
    const error = refusal(() => {
      const extents = decodeTemplate(bytes);
      held = heldBytes(extents);
      for (const { offset, bytes: data } of extents)
        rule(offset >= 0 && offset + data.byteLength <= 2 ** 36, "beyond the disk");
    }, isTemplateError);
    rule(bytes !== TEMPLATE || !error, "a sound template is refused");
    return { accepted: !error, held };
  },
};

export const ASSET_TARGETS: readonly Target[] = [assetFiles, chunkLists, bootImages, templates];
