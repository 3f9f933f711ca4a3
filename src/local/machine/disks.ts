import { concatBytes } from "../../util/bytes.js";

/**
 * A disk of a machine, in the form that v86 takes: `read` returns exactly as many bytes as asked, `write` copies the bytes that it is given,
 * and the guest takes a write for durable from the moment at which it resolves.
 */
export interface MachineDisk {
  readonly byteLength: number;
  /** Called with the error of a read. The guest sees unreadable sectors, and may try again. Absent: the machine ends. */
  readonly onUnreadable?: (error: unknown) => void;
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  write(offset: number, bytes: Uint8Array): void | Promise<void>;
}

/** Bytes and their position. */
export interface Extent {
  offset: number;
  bytes: Uint8Array;
}

/** The disk of a box. It owns its storage until it is closed. */
export interface StoredDisk extends MachineDisk {
  /** Writes in this order. After a failure a part may be stored: in a file any part, in a database none. */
  writeAll(extents: readonly Extent[]): void | Promise<void>;
  close(): Promise<void>;
}

/** Visits the parts of a range in the chunks that it touches: the chunk's number, the part's bounds in it, and the part's offset in the range. */
export function eachChunk(
  chunkBytes: number,
  offset: number,
  length: number,
  visit: (number: number, start: number, end: number, at: number) => void,
): void {
  for (let at = 0; at < length; ) {
    const number = Math.floor((offset + at) / chunkBytes);
    const start = offset + at - number * chunkBytes;
    const end = Math.min(chunkBytes, start + length - at);
    visit(number, start, end, at);
    at += end - start;
  }
}

/** A disk with an image, whose chunks are fetched when they are read. Writes of the guest are dropped, since it is mounted read-only. */
export class ImageDisk implements MachineDisk {
  readonly byteLength: number;

  constructor(
    private readonly chunks: {
      readonly byteLength: number;
      get(number: number): Uint8Array | Promise<Uint8Array>;
    },
    private readonly chunkBytes: number,
    readonly onUnreadable: (error: unknown) => void,
  ) {
    this.byteLength = Math.ceil(chunks.byteLength / SECTOR_BYTES) * SECTOR_BYTES;
  }

  read(offset: number, length: number): Uint8Array | Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    const waiting: Promise<void>[] = [];
    // The rest of the image's last sector is zero.
    const inside = Math.max(0, Math.min(length, this.chunks.byteLength - offset));
    eachChunk(this.chunkBytes, offset, inside, (number, start, end, at) => {
      const copy = (chunk: Uint8Array) => bytes.set(chunk.subarray(start, end), at);
      const chunk = this.chunks.get(number);
      if (chunk instanceof Uint8Array) copy(chunk);
      else waiting.push(chunk.then(copy));
    });
    return waiting.length === 0 ? bytes : Promise.all(waiting).then(() => bytes);
  }

  write(): void {}
}

const SECTOR_BYTES = 512;
/** Chunk size: small enough that scattered metadata costs little, large enough that a file of many MB takes few entries. */
const CHUNK_BYTES = 64 * 1024;
const BLOCK_BYTES = 4096;
/** Size of the device, whatever the size of its file system: a snapshot only fits a device of the size it was made with. */
export const BOX_DISK_BYTES = 64 * 2 ** 30;

/** A disk of {@link BOX_DISK_BYTES} that only keeps written data in memory. */
export class MemoryDisk implements StoredDisk {
  readonly byteLength = BOX_DISK_BYTES;
  private readonly chunks = new Map<number, Uint8Array>();

  /** Data beyond `limitBytes` is dropped: no file system reaches that far, only a hostile guest. */
  constructor(private readonly limitBytes = BOX_DISK_BYTES) {}

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    eachChunk(CHUNK_BYTES, offset, length, (index, start, end, at) => {
      const chunk = this.chunks.get(index);
      if (chunk) bytes.set(chunk.subarray(start, end), at);
    });
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.byteLength > this.limitBytes) return;
    eachChunk(CHUNK_BYTES, offset, bytes.byteLength, (index, start, end, at) => {
      let chunk = this.chunks.get(index);
      if (!chunk) {
        if (bytes.subarray(at, at + end - start).every((byte) => byte === 0)) return;
        chunk = new Uint8Array(CHUNK_BYTES);
        this.chunks.set(index, chunk);
      }
      chunk.set(bytes.subarray(at, at + end - start), start);
    });
  }

  writeAll(extents: readonly Extent[]): void {
    for (const { offset, bytes } of extents) this.write(offset, bytes);
  }

  async close(): Promise<void> {
    this.chunks.clear();
  }

  /** Returns the parts that are not zero, in order. They are views of the disk's own memory. */
  extents(): Extent[] {
    const extents: Extent[] = [];
    for (const index of [...this.chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.chunks.get(index)!;
      for (let start = 0; start < CHUNK_BYTES; start += BLOCK_BYTES) {
        const bytes = chunk.subarray(start, start + BLOCK_BYTES);
        if (bytes.some((byte) => byte !== 0)) extents.push({ offset: index * CHUNK_BYTES + start, bytes });
      }
    }
    return extents;
  }

  /** Returns {@link extents} in the format that {@link decodeTemplate} reads. */
  toTemplate(): Uint8Array {
    return encodeTemplate(this.extents());
  }
}

const TEMPLATE_MAGIC = 0x50535842; // "BXSP"
const TEMPLATE_VERSION = 1;

const TEMPLATE_HEADER_BYTES = 20;
const TEMPLATE_ENTRY_BYTES = 12;

function encodeTemplate(extents: Extent[]): Uint8Array {
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
    throw new Error("the disk template has an unknown form");
  }
  const listEnd = TEMPLATE_HEADER_BYTES + view.getUint32(16, true) * TEMPLATE_ENTRY_BYTES;
  const extents: Extent[] = [];
  let data = listEnd;
  for (let entry = TEMPLATE_HEADER_BYTES; entry < listEnd; entry += TEMPLATE_ENTRY_BYTES) {
    if (entry + TEMPLATE_ENTRY_BYTES > template.byteLength) throw new Error("the disk template is cut short");
    const offset = Number(view.getBigUint64(entry, true));
    const length = view.getUint32(entry + 8, true);
    if (offset + length > BOX_DISK_BYTES || data + length > template.byteLength) {
      throw new Error("the disk template is cut short");
    }
    extents.push({ offset, bytes: template.subarray(data, data + length) });
    data += length;
  }
  return extents;
}
