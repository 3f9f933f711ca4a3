import { concatBytes } from "../../util/bytes.js";
import { sha256Hex } from "../assets.js";

/**
 * A machine at rest. There are two kinds: "any", right after the agent has reported for work, fits a box with any disk; "new", with an empty
 * disk mounted, fits a box that begins with that disk, which is then part of the snapshot, and starts faster.
 *
 * The emulator's state comes without the memory, and the pages of memory that are not zero apart from it, so that they go straight into
 * the new machine's memory and a zero page is never touched. The form: "BXSN", u32 version, u32 length of the header, the header as JSON,
 * the state, the disk, the pages in order.
 */
export interface Snapshot {
  fingerprint: string;
  memoryMb: number;
  /** v86's own state, its memory left out. */
  state: Uint8Array;
  /** The disk that goes with it, as a template (see disks.ts); empty in one that fits any. */
  disk: Uint8Array;
  /** Consecutive pages of memory: first page, count, and so on. Their contents are `pages`, in order. */
  runs: number[];
  /** The same for pages that {@link continuePage} makes from what is before them; they are not in `pages`. */
  continued: number[];
  pages: Uint8Array;
}

/** Of the emulated machine. */
export const PAGE_BYTES = 4096;
const MAGIC = 0x4e535842; // "BXSN"
const VERSION = 1;
/** Of the records whose series {@link continuePage} continues: `struct page` of our kernel. Another size would only cost space. */
const RECORD_BYTES = 40;
const PREFIX_BYTES = 12;

/**
 * The name of everything that must be the same when a snapshot is made and when it is used. One that doesn't match is ignored:
 * a snapshot is an accelerator, never the truth.
 */
export function fingerprint(parts: {
  emulator: string;
  memoryMb: number;
  devices: string;
  kernel: string;
  initramfs: string;
  base: string;
  /** Of a new box's disk; empty for a snapshot that fits any. */
  disk: string;
}): Promise<string> {
  const { emulator, memoryMb, devices, kernel, initramfs, base, disk } = parts;
  const ordered = [VERSION, emulator, memoryMb, devices, kernel, initramfs, base, disk];
  return sha256Hex(new TextEncoder().encode(JSON.stringify(ordered)));
}

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { fingerprint: id, memoryMb, state, disk, runs, continued, pages } = snapshot;
  const header = new TextEncoder().encode(
    JSON.stringify({
      fingerprint: id,
      memoryMb,
      stateBytes: state.byteLength,
      diskBytes: disk.byteLength,
      runs,
      continued,
    }),
  );
  const prefix = new DataView(new ArrayBuffer(PREFIX_BYTES));
  prefix.setUint32(0, MAGIC, true);
  prefix.setUint32(4, VERSION, true);
  prefix.setUint32(8, header.byteLength, true);
  return concatBytes([new Uint8Array(prefix.buffer), header, state, disk, pages]);
}

/** Throws, saying what is wrong, unless `bytes` is a whole snapshot with this fingerprint, of a machine with this much memory. */
export function decodeSnapshot(
  bytes: Uint8Array,
  expectedFingerprint: string,
  expectedMemoryMb: number,
): Snapshot {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < PREFIX_BYTES || view.getUint32(0, true) !== MAGIC)
    throw new Error("it is not a snapshot");
  if (view.getUint32(4, true) !== VERSION) throw new Error("it is of another version");
  const headerEnd = PREFIX_BYTES + view.getUint32(8, true);
  if (headerEnd > bytes.byteLength) throw new Error("it is cut short");
  const {
    fingerprint: id,
    memoryMb,
    stateBytes,
    diskBytes,
    runs,
    continued,
  } = parseHeader(bytes.subarray(PREFIX_BYTES, headerEnd));
  if (id !== expectedFingerprint || memoryMb !== expectedMemoryMb)
    throw new Error("it was made for another machine");
  if (!isCount(stateBytes) || !isCount(diskBytes)) throw new Error("its header is damaged");
  const pageLimit = (expectedMemoryMb * 2 ** 20) / PAGE_BYTES;
  if (!isPageList(runs, pageLimit) || !isPageList(continued, pageLimit) || continued[0] === 0) {
    throw new Error("its list of pages is damaged");
  }
  let pageCount = 0;
  for (let i = 1; i < runs.length; i += 2) pageCount += runs[i]!;
  const diskAt = headerEnd + stateBytes;
  const pagesAt = diskAt + diskBytes;
  if (bytes.byteLength !== pagesAt + pageCount * PAGE_BYTES) throw new Error("it is cut short");
  return {
    fingerprint: expectedFingerprint,
    memoryMb: expectedMemoryMb,
    // A copy: v86 wants a buffer of its own that starts at 0.
    state: bytes.slice(headerEnd, diskAt),
    disk: bytes.subarray(diskAt, pagesAt),
    runs,
    continued,
    pages: bytes.subarray(pagesAt),
  };
}

function parseHeader(header: Uint8Array): Record<string, unknown> {
  try {
    return JSON.parse(new TextDecoder().decode(header)) ?? {};
  } catch {
    throw new Error("its header is damaged");
  }
}

/** Takes the pages of `memory` that are not zero. */
export function packPages(
  memory: Uint8Array,
  isZero: (page: number) => boolean,
): Pick<Snapshot, "runs" | "continued" | "pages"> {
  const runs: number[] = [];
  const continued: number[] = [];
  const packed: Uint8Array[] = [];
  const expected = new Uint8Array(2 * PAGE_BYTES);
  for (let page = 0; page < memory.byteLength / PAGE_BYTES; page++) {
    if (isZero(page)) continue;
    const contents = memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (page > 0) expected.set(memory.subarray((page - 1) * PAGE_BYTES, page * PAGE_BYTES));
    continuePage(expected, 1);
    const isContinued = contents.every((byte, i) => byte === expected[PAGE_BYTES + i]);
    if (!isContinued) packed.push(contents);
    addPage(isContinued ? continued : runs, page);
  }
  return { runs, continued, pages: concatBytes(packed) };
}

/** Writes a snapshot's pages into memory that is all zero. */
export function unpackPages({ runs, continued, pages }: Snapshot, memory: Uint8Array): void {
  let at = 0;
  eachRun(runs, (first, count) => {
    const length = count * PAGE_BYTES;
    memory.set(pages.subarray(at, at + length), first * PAGE_BYTES);
    at += length;
  });
  // Ascending: what a page continues is there before it.
  eachRun(continued, (first, count) => {
    for (let page = first; page < first + count; page++) continuePage(memory, page);
  });
}

/**
 * Fills a page with the series that the records before it begin: each word changes from record to record as it did between the two before.
 * The kernel's table of free pages is such a series, and half of what would else be in a snapshot.
 */
function continuePage(memory: Uint8Array, page: number): void {
  const words = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength / 4);
  const record = RECORD_BYTES / 4;
  const end = ((page + 1) * PAGE_BYTES) / 4;
  for (let i = (page * PAGE_BYTES) / 4; i < end; i++) {
    words[i] = 2 * words[i - record]! - words[i - 2 * record]!;
  }
}

function addPage(list: number[], page: number): void {
  const last = list.length - 2;
  if (last >= 0 && list[last]! + list[last + 1]! === page) list[last + 1]!++;
  else list.push(page, 1);
}

function eachRun(list: readonly number[], visit: (first: number, count: number) => void): void {
  for (let i = 0; i < list.length; i += 2) visit(list[i]!, list[i + 1]!);
}

/** A list of first page, count, and so on: ascending, within memory. */
function isPageList(list: unknown, pageLimit: number): list is number[] {
  if (!Array.isArray(list) || list.length % 2 !== 0 || !list.every(isCount)) return false;
  let end = 0;
  for (let i = 0; i < list.length; i += 2) {
    if (list[i]! < end) return false;
    end = list[i]! + list[i + 1]!;
  }
  return end <= pageLimit;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
