import type { Extent } from "../../../src/local/machine/disk.js";
import type { Random } from "../faults/random.js";

/** How long the file system on the disk is; the device is longer. */
export const DISK_BYTES = 2 ** 30;
const CHUNK_BYTES = 64 * 1024;
const WINDOW_BYTES = 4 * CHUNK_BYTES;
/** The parts of the disk that a history is about: its beginning, some chunks in its middle, and its end with a little of what lies beyond. */
const WINDOWS = [0, 37 * CHUNK_BYTES, 4999 * CHUNK_BYTES, DISK_BYTES - 3 * CHUNK_BYTES];
const MAX_WRITE_BYTES = 3 * CHUNK_BYTES;
const SECTOR_BYTES = 512;

/** What is handed to a disk in one call. */
export type Step = Extent[];

/** Writes that overlap, lie across chunks, are not aligned, are zero, and end beyond the disk. */
export function newHistory(random: Random, steps: number): Step[] {
  return Array.from({ length: steps }, (_, step) =>
    Array.from({ length: random.chance(0.2) ? random.between(2, 6) : 1 }, () => {
      const { offset, length } = newRange(random);
      const bytes = new Uint8Array(length);
      if (!random.chance(0.1)) for (let i = 0; i < length; i++) bytes[i] = (step * 31 + i * 7 + 1) & 0xff;
      return { offset, bytes };
    }),
  );
}

/** Some bytes of some window. */
export function newRange(random: Random): { offset: number; length: number } {
  const window = random.pick(WINDOWS);
  const aligned = random.chance(0.7);
  // Near a border of chunks, as often as not.
  const at = random.chance(0.5)
    ? random.between(0, 3) * CHUNK_BYTES + random.between(-2, 2) * SECTOR_BYTES
    : random.between(0, WINDOW_BYTES - 1);
  const start = Math.min(Math.max(0, at), WINDOW_BYTES - SECTOR_BYTES);
  const length = 1 + random.size(Math.min(MAX_WRITE_BYTES, WINDOW_BYTES - start) - 1);
  const round = (value: number) => Math.ceil(value / SECTOR_BYTES) * SECTOR_BYTES;
  return aligned
    ? { offset: window + Math.floor(start / SECTOR_BYTES) * SECTOR_BYTES, length: round(length) }
    : { offset: window + start, length };
}

/** What a disk has to hold, in its windows. */
export class DiskModel {
  readonly contents = WINDOWS.map(() => new Uint8Array(WINDOW_BYTES));

  write(step: Step): void {
    for (const { index, at, bytes } of inside(step)) this.contents[index]!.set(bytes, at);
  }

  /** Bytes of one window; what is beyond the file system is zero. */
  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const index = windowOf(offset);
    const at = offset - WINDOWS[index]!;
    bytes.set(this.contents[index]!.subarray(at, at + length));
    return bytes;
  }

  /** Where `other` differs from this, in words, apart from the bytes that `torn` may have written in part. */
  difference(other: readonly Uint8Array[], torn: Step = []): string | undefined {
    const expected = this.contents.map((window) => window.slice());
    for (const { index, at, bytes } of inside(torn)) {
      const found = other[index]!;
      for (let i = 0; i < bytes.byteLength; i++)
        if (found[at + i] === bytes[i]) expected[index]![at + i] = bytes[i]!;
    }
    for (const [index, window] of expected.entries()) {
      const found = other[index]!;
      for (let at = 0; at < WINDOW_BYTES; at++)
        if (window[at] !== found[at])
          return `byte ${WINDOWS[index]! + at} is ${found[at]} instead of ${window[at]}`;
    }
    return undefined;
  }
}

/** What of a step the disk takes, by window: what ends beyond the file system is dropped. */
function inside(step: Step): { index: number; at: number; bytes: Uint8Array }[] {
  return step
    .filter(({ offset, bytes }) => offset + bytes.byteLength <= DISK_BYTES)
    .map(({ offset, bytes }) => {
      const index = windowOf(offset);
      return { index, at: offset - WINDOWS[index]!, bytes };
    });
}

const windowOf = (offset: number) => WINDOWS.findLastIndex((start) => start <= offset);

/** The windows of a disk, by whatever reads it. */
export async function readWindows(
  read: (offset: number, length: number) => Uint8Array | Promise<Uint8Array>,
): Promise<Uint8Array[]> {
  return Promise.all(WINDOWS.map(async (offset) => read(offset, WINDOW_BYTES)));
}

/** The same, of what can be read at once. */
export function readWindowsSync(read: (offset: number, length: number) => Uint8Array): Uint8Array[] {
  return WINDOWS.map((offset) => read(offset, WINDOW_BYTES));
}
