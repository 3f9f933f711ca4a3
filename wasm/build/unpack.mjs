import { existsSync, readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { decompress } from "fzstd";
import { PREBUILT, WASM } from "./results.mjs";

/**
 * The file that an image is kept in.
 * @param {string} name
 * @param {string} [prebuilt] the folder of the small results, ending in "/"
 * @returns {string}
 */
export function imageFile(name, prebuilt = PREBUILT) {
  const large = `${WASM}images/${name}/${name}.erofs.zst`;
  return existsSync(large) ? large : `${prebuilt}${name}.erofs.br`;
}

/**
 * The disk of an image, as the guest sees it.
 * @param {string} name
 * @param {string} [prebuilt] the folder of the small results, ending in "/"
 * @returns {Uint8Array}
 */
export function readImage(name, prebuilt = PREBUILT) {
  const file = imageFile(name, prebuilt);
  const packed = readFileSync(file);
  return file.endsWith(".zst") ? decompress(packed) : brotliDecompressSync(packed);
}
