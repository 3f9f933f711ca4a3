import { VolumeError } from "./errno.js";

/** Length of a chunk in bytes: a usual request of 128 KB touches one or two. */
const CHUNK_BYTES = 256 * 1024;

interface Chunk {
  /** Storage, which doubles up to the length of a chunk. Behind `end` it is zero. */
  bytes: Uint8Array;
  /** End of what was written. */
  end: number;
}

/** A part of a range that is within one chunk. */
interface Piece {
  chunk: number;
  start: number;
  end: number;
  /** Where the part begins in the range. */
  offset: number;
}

function* pieces(at: number, length: number): Generator<Piece> {
  for (let offset = 0; offset < length; ) {
    const chunk = Math.floor((at + offset) / CHUNK_BYTES);
    const start = at + offset - chunk * CHUNK_BYTES;
    const end = Math.min(CHUNK_BYTES, start + length - offset);
    yield { chunk, start, end, offset };
    offset += end - start;
  }
}

/** The contents of a file in memory. A chunk that nothing was written to takes no memory and reads as zeroes. */
export class FileContents {
  readonly #chunks = new Map<number, Chunk>();
  #size = 0;
  #takenBytes = 0;

  get size(): number {
    return this.#size;
  }

  /** Bytes that count against the volume's limit. The size of a file does not depend on them: it may have holes. */
  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Reads into the array and returns the number of bytes, 0 at the end of the file. */
  read(into: Uint8Array, at: number): number {
    const length = Math.max(0, Math.min(into.byteLength, this.#size - at));
    for (const { chunk, start, end, offset } of pieces(at, length)) {
      const stored = this.#chunks.get(chunk)?.bytes.subarray(start, end);
      if (stored) into.set(stored, offset);
      into.fill(0, offset + (stored?.byteLength ?? 0), offset + end - start);
    }
    return length;
  }

  /** Returns how many bytes of a write fit when the file may take so many more bytes. */
  fitting(at: number, length: number, roomBytes: number): number {
    let room = roomBytes;
    for (const { chunk, start, end, offset } of pieces(at, length)) {
      const taken = this.#chunks.get(chunk)?.end ?? 0;
      const more = Math.max(0, end - taken);
      if (more > room) return offset + Math.max(0, taken + room - start);
      room -= more;
    }
    return length;
  }

  /**
   * Writes the bytes, and zeroes between them and the end of the file.
   *
   * @throws {VolumeError} ENOSPC when the host has no memory; nothing is written then
   */
  write(bytes: Uint8Array, at: number): void {
    for (const { chunk, end } of pieces(at, bytes.byteLength)) this.#reserve(chunk, end);
    for (const { chunk: number, start, end, offset } of pieces(at, bytes.byteLength)) {
      const chunk = this.#chunks.get(number)!;
      chunk.bytes.set(bytes.subarray(offset, offset + end - start), start);
      this.#takenBytes += Math.max(0, end - chunk.end);
      chunk.end = Math.max(chunk.end, end);
    }
    if (bytes.byteLength > 0) this.#size = Math.max(this.#size, at + bytes.byteLength);
  }

  /** Cuts the file, or adds a hole. */
  resize(size: number): void {
    for (const [number, chunk] of size < this.#size ? this.#chunks : []) {
      const end = Math.max(0, Math.min(chunk.end, size - number * CHUNK_BYTES));
      if (end === chunk.end) continue;
      this.#takenBytes -= chunk.end - end;
      if (end === 0) this.#chunks.delete(number);
      else cut(chunk, end);
    }
    this.#size = size;
  }

  /** Yields copies of what was written, each with its position. All else is holes. */
  *written(): Generator<{ at: number; bytes: Uint8Array }> {
    for (const [number, { bytes, end }] of this.#chunks)
      yield { at: number * CHUNK_BYTES, bytes: bytes.slice(0, end) };
  }

  #reserve(number: number, end: number): void {
    const chunk = this.#chunks.get(number);
    const length = chunk?.bytes.byteLength ?? 0;
    if (end <= length) return;
    const bytes = allocate(Math.min(CHUNK_BYTES, Math.max(end, 2 * length)));
    if (!chunk) return void this.#chunks.set(number, { bytes, end: 0 });
    bytes.set(chunk.bytes.subarray(0, chunk.end));
    chunk.bytes = bytes;
  }
}

/** Forgets the rest of a chunk. A short rest of a long chunk moves, so that a file never takes much more memory than it counts. */
function cut(chunk: Chunk, end: number): void {
  if (2 * end < chunk.bytes.byteLength) chunk.bytes = chunk.bytes.slice(0, end);
  else chunk.bytes.fill(0, end, chunk.end);
  chunk.end = end;
}

function allocate(length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new VolumeError("ENOSPC", { cause });
  }
}
