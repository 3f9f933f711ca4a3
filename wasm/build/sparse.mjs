/**
 * The format of the disk templates: the parts of a file that are not zero. All numbers are little-endian.
 *
 *     u32 magic "BXSP"   u32 version 1   u64 logical size   u32 count
 *     count times: u64 offset   u32 length
 *     the data of the extents, in the same order
 *
 * Offsets and lengths are multiples of 4096, extents ascend and do not touch.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const MAGIC = 0x50535842; // "BXSP" read as a little-endian number
const VERSION = 1;
/** The block size of the file system inside. */
const BLOCK = 4096;
const HEADER_BYTES = 20;
const EXTENT_BYTES = 12;
/** How much is read at a time: holes of a sparse file cost a read each, so not too small. */
const CHUNK = 4 << 20;

/**
 * @param {string} path a file, large and mostly zero
 * @returns {Buffer} its sparse form
 */
export function readSparse(path) {
  /** @type {{ offset: number, blocks: Buffer[] }[]} */
  const extents = [];
  const fd = openSync(path, "r");
  const { size } = fstatSync(fd);
  if (size % BLOCK !== 0) throw new Error(`${path}: ${size} bytes are not whole blocks`);

  const chunk = Buffer.alloc(CHUNK);
  const zeros = Buffer.alloc(CHUNK);
  for (let start = 0; start < size; start += CHUNK) {
    const length = readSync(fd, chunk, 0, CHUNK, start);
    if (chunk.compare(zeros, 0, length, 0, length) === 0) continue;
    for (let at = 0; at < length; at += BLOCK) {
      const block = chunk.subarray(at, at + BLOCK);
      if (block.compare(zeros, 0, BLOCK) === 0) continue;
      const offset = start + at;
      const last = extents.at(-1);
      if (last && last.offset + last.blocks.length * BLOCK === offset) last.blocks.push(Buffer.from(block));
      else extents.push({ offset, blocks: [Buffer.from(block)] });
    }
  }
  closeSync(fd);

  const header = Buffer.alloc(HEADER_BYTES + extents.length * EXTENT_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  header.writeBigUInt64LE(BigInt(size), 8);
  header.writeUInt32LE(extents.length, 16);
  extents.forEach(({ offset, blocks }, index) => {
    const at = HEADER_BYTES + index * EXTENT_BYTES;
    header.writeBigUInt64LE(BigInt(offset), at);
    header.writeUInt32LE(blocks.length * BLOCK, at + 8);
  });
  return Buffer.concat([header, ...extents.flatMap(({ blocks }) => blocks)]);
}
