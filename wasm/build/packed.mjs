/**
 * How results of the build are kept in git: packed with brotli, and unpacked only against the record of what they must be.
 */
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";

/**
 * The record of one packed file.
 * @typedef {object} PackedRecord
 * @property {number} size of the file, in bytes
 * @property {string} sha256 of the file
 * @property {number} rawSize of what is in it, in bytes
 * @property {string} rawSha256 of what is in it
 */

/** The largest window of every brotli decoder; beyond it is the "large window" extension, which Node has and browsers have not. */
const COMMON_WINDOW_BITS = constants.BROTLI_MAX_WINDOW_BITS;
/** 128 MB: an image is packed as a whole, and its repetitions lie far apart. */
const LARGE_WINDOW_BITS = 27;

/**
 * @param {string | Uint8Array} data
 * @returns {string} in hexadecimal
 */
export function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}

/**
 * Packs bytes. Minutes for a hundred MB.
 * @param {Uint8Array} raw
 * @returns {Buffer}
 */
export function pack(raw) {
  const large = raw.length > 2 ** COMMON_WINDOW_BITS;
  return brotliCompressSync(raw, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LARGE_WINDOW]: Number(large),
      [constants.BROTLI_PARAM_LGWIN]: large ? LARGE_WINDOW_BITS : COMMON_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: raw.length,
    },
  });
}

/**
 * Makes a packed file, unless what lies there holds these bytes: another Node's brotli would pack them differently for nothing.
 * @param {string} path
 * @param {Uint8Array} raw
 * @returns {Buffer} the file's bytes
 */
export function packOnce(path, raw) {
  const wanted = { rawSize: raw.length, rawSha256: sha256(raw) };
  try {
    unpack(path, wanted);
  } catch {
    const draft = `${path}.new`;
    writeFileSync(draft, pack(raw));
    // The packer is trusted no more than the unpacker.
    unpack(draft, wanted);
    renameSync(draft, path);
  }
  return readFileSync(path);
}

/**
 * @param {Uint8Array} packed
 * @param {Uint8Array} raw what it was made of
 * @returns {PackedRecord}
 */
export function recordOf(packed, raw) {
  return { size: packed.length, sha256: sha256(packed), rawSize: raw.length, rawSha256: sha256(raw) };
}

/**
 * @param {string} path of a packed file
 * @param {Pick<PackedRecord, "rawSize" | "rawSha256">} record what must be in it
 * @returns {Buffer} what is in it
 * @throws {Error} that names the file, when there is anything else in it
 */
export function unpack(path, { rawSize, rawSha256 }) {
  const refuse = (/** @type {string} */ why, /** @type {unknown} */ cause) =>
    new Error(`${path} is damaged: ${why}`, { cause });
  const packed = readFileSync(path);
  let raw;
  try {
    raw = brotliDecompressSync(packed, {
      params: { [constants.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 1 },
      // One piece, as large as it must be. Zlib's least is 64 bytes.
      chunkSize: Math.max(64, rawSize),
      maxOutputLength: Math.max(1, rawSize),
    });
  } catch (error) {
    throw refuse(`it cannot be unpacked into ${rawSize} bytes`, error);
  }
  if (raw.length !== rawSize) throw refuse(`expected ${rawSize} bytes in it, got ${raw.length}`, undefined);
  const found = sha256(raw);
  if (found !== rawSha256)
    throw refuse(`expected the SHA-256 ${rawSha256} of what is in it, got ${found}`, undefined);
  return raw;
}
