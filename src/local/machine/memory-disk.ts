import { BOX_DISK_BYTES, type Extent, eachChunk, type StoredDisk } from "./disk.js";
import { encodeTemplate } from "./disk-template.js";

/** Chunk size: small enough that scattered metadata costs little, large enough that a file of many MB takes few entries. */
const CHUNK_BYTES = 64 * 1024;
const BLOCK_BYTES = 4096;

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
