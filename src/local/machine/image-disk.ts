import { eachChunk, type MachineDisk } from "./disk.js";

const SECTOR_BYTES = 512;

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
