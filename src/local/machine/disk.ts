/** Size of the device, whatever the size of its file system: a boot image only fits a device of the size it was made with. */
export const BOX_DISK_BYTES = 64 * 2 ** 30;

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
