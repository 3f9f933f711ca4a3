import { createHash } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";

/** As src/local/assets/image-chunks.ts has them. */
const CHUNK_BYTES = 256 * 1024;
const NAME_DIGITS = 20;
/** Compressed at once: zlib's threads are four. */
const PARALLEL = 4;

const compress = promisify(gzip);

/**
 * Cuts an image into chunks, each a gzip file that is named by the hash of the bytes in it, and lists them in order: the SHA-256 of the bytes in it (32 bytes) and the
 * length of the file (u32, little-endian) for each.
 * @param {Uint8Array} raw the image
 * @param {string} out the folder of assets, ending in "/"
 * @returns {Promise<{ list: Uint8Array, downloadBytes: number, chunks: string[] }>}
 */
export async function cutImage(raw, out) {
  await mkdir(`${out}chunks`, { recursive: true });
  const count = Math.ceil(raw.byteLength / CHUNK_BYTES);
  const list = new Uint8Array(count * 36);
  const view = new DataView(list.buffer);
  const sizes = new Map();
  let next = 0;
  const work = async () => {
    for (let i = next++; i < count; i = next++) {
      const contents = raw.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
      const hash = createHash("sha256").update(contents).digest();
      const packed = await compress(contents, { level: constants.Z_BEST_COMPRESSION });
      const name = `${hash.toString("hex").slice(0, NAME_DIGITS)}.bin`;
      list.set(hash, i * 36);
      view.setUint32(i * 36 + 32, packed.byteLength, true);
      sizes.set(name, packed.byteLength);
      // Whole or not at all: a build that ends here leaves no chunk that is cut short under its name.
      const draft = `${out}chunks/${name}.${i}`;
      await writeFile(draft, packed);
      await rename(draft, `${out}chunks/${name}`);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  const downloadBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { list, downloadBytes, chunks: [...sizes.keys()] };
}
