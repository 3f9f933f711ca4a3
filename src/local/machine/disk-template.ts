import { concatBytes } from "../../util/bytes.js";
import { BOX_DISK_BYTES, type Extent } from "./disk.js";

const TEMPLATE_MAGIC = 0x50535842; // "BXSP"
const TEMPLATE_VERSION = 1;

const TEMPLATE_HEADER_BYTES = 20;
const TEMPLATE_ENTRY_BYTES = 12;

/** Returns a template in the format that {@link decodeTemplate} reads. */
export function encodeTemplate(extents: Extent[]): Uint8Array {
  const list = new DataView(new ArrayBuffer(TEMPLATE_HEADER_BYTES + extents.length * TEMPLATE_ENTRY_BYTES));
  list.setUint32(0, TEMPLATE_MAGIC, true);
  list.setUint32(4, TEMPLATE_VERSION, true);
  list.setBigUint64(8, BigInt(BOX_DISK_BYTES), true);
  list.setUint32(16, extents.length, true);
  for (const [i, { offset, bytes }] of extents.entries()) {
    const at = TEMPLATE_HEADER_BYTES + i * TEMPLATE_ENTRY_BYTES;
    list.setBigUint64(at, BigInt(offset), true);
    list.setUint32(at + 8, bytes.byteLength, true);
  }
  return concatBytes([new Uint8Array(list.buffer), ...extents.map(({ bytes }) => bytes)]);
}

/**
 * Reads a file system template. The format, little-endian: u32 "BXSP", u32 version, u64 size of the file system, u32 count,
 * `count` times (u64 offset, u32 length), then the data of those extents in order; everything else is zero.
 * Throws when the template is malformed.
 */
export function decodeTemplate(template: Uint8Array): Extent[] {
  const view = new DataView(template.buffer, template.byteOffset, template.byteLength);
  if (
    template.byteLength < TEMPLATE_HEADER_BYTES ||
    view.getUint32(0, true) !== TEMPLATE_MAGIC ||
    view.getUint32(4, true) !== TEMPLATE_VERSION
  ) {
    throw new Error("the disk template has an unknown format");
  }
  const listEnd = TEMPLATE_HEADER_BYTES + view.getUint32(16, true) * TEMPLATE_ENTRY_BYTES;
  const extents: Extent[] = [];
  let data = listEnd;
  for (let entry = TEMPLATE_HEADER_BYTES; entry < listEnd; entry += TEMPLATE_ENTRY_BYTES) {
    if (entry + TEMPLATE_ENTRY_BYTES > template.byteLength) throw new Error("the disk template is truncated");
    const offset = Number(view.getBigUint64(entry, true));
    const length = view.getUint32(entry + 8, true);
    if (offset + length > BOX_DISK_BYTES || data + length > template.byteLength) {
      throw new Error("the disk template is truncated");
    }
    extents.push({ offset, bytes: template.subarray(data, data + length) });
    data += length;
  }
  return extents;
}
