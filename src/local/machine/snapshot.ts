import { concatBytes } from "../../util/bytes.js";
import { sha256Hex } from "../assets.js";

/**
 * A machine at rest, right after its agent has reported for work: the emulator's state without the memory, then the pages of
 * memory that are not zero. Kept apart so that pages go straight into the new machine's memory and a zero page is never touched.
 *
 * The form: "BXSN", u32 version, u32 length of the header, the header as JSON, the state, the pages in order.
 */
export interface Snapshot {
  fingerprint: string;
  memoryMb: number;
  /** v86's own state, its memory left out. */
  state: Uint8Array;
  /** Consecutive pages of memory: first page, count, and so on. Their contents are `pages`, in order. */
  runs: number[];
  pages: Uint8Array;
}

/** Of the emulated machine. */
export const PAGE_BYTES = 4096;
const MAGIC = 0x4e535842; // "BXSN"
const VERSION = 1;
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
}): Promise<string> {
  const ordered = [
    VERSION,
    parts.emulator,
    parts.memoryMb,
    parts.devices,
    parts.kernel,
    parts.initramfs,
    parts.base,
  ];
  return sha256Hex(new TextEncoder().encode(JSON.stringify(ordered)));
}

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { fingerprint: id, memoryMb, runs } = snapshot;
  const header = new TextEncoder().encode(
    JSON.stringify({ fingerprint: id, memoryMb, stateBytes: snapshot.state.byteLength, runs }),
  );
  const total = PREFIX_BYTES + header.byteLength + snapshot.state.byteLength + snapshot.pages.byteLength;
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, header.byteLength, true);
  bytes.set(header, PREFIX_BYTES);
  bytes.set(snapshot.state, PREFIX_BYTES + header.byteLength);
  bytes.set(snapshot.pages, PREFIX_BYTES + header.byteLength + snapshot.state.byteLength);
  return bytes;
}

/** Throws, saying what is wrong, unless `bytes` is a whole snapshot with this fingerprint. */
export function decodeSnapshot(bytes: Uint8Array, expectedFingerprint: string): Snapshot {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < PREFIX_BYTES || view.getUint32(0, true) !== MAGIC)
    throw new Error("it is not a snapshot");
  if (view.getUint32(4, true) !== VERSION) throw new Error("it is of another version");
  const headerEnd = PREFIX_BYTES + view.getUint32(8, true);
  if (headerEnd > bytes.byteLength) throw new Error("it is cut short");
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(PREFIX_BYTES, headerEnd)));
  const { fingerprint: id, memoryMb, stateBytes, runs } = header as Record<string, unknown>;
  if (id !== expectedFingerprint) throw new Error("it was made for another machine");
  if (!isCount(memoryMb) || !isCount(stateBytes)) throw new Error("its header is damaged");
  const pageLimit = (memoryMb * 2 ** 20) / PAGE_BYTES;
  if (!isPageList(runs, pageLimit)) throw new Error("its list of pages is damaged");
  let pageCount = 0;
  for (let i = 1; i < runs.length; i += 2) pageCount += runs[i]!;
  const pagesAt = headerEnd + stateBytes;
  if (bytes.byteLength !== pagesAt + pageCount * PAGE_BYTES) throw new Error("it is cut short");
  return {
    fingerprint: id,
    memoryMb,
    // A copy: v86 wants a buffer of its own that starts at 0.
    state: bytes.slice(headerEnd, pagesAt),
    runs,
    pages: bytes.subarray(pagesAt),
  };
}

/** Takes the pages of `memory` that are not zero. */
export function packPages(
  memory: Uint8Array,
  isZero: (page: number) => boolean,
): Pick<Snapshot, "runs" | "pages"> {
  const runs: number[] = [];
  const packed: Uint8Array[] = [];
  for (let page = 0; page < memory.byteLength / PAGE_BYTES; page++) {
    if (isZero(page)) continue;
    packed.push(memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
    const last = runs.length - 2;
    if (last >= 0 && runs[last]! + runs[last + 1]! === page) runs[last + 1]!++;
    else runs.push(page, 1);
  }
  return { runs, pages: concatBytes(packed) };
}

/** Writes a snapshot's pages into memory that is all zero. */
export function unpackPages({ runs, pages }: Snapshot, memory: Uint8Array): void {
  let at = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const length = runs[i + 1]! * PAGE_BYTES;
    memory.set(pages.subarray(at, at + length), runs[i]! * PAGE_BYTES);
    at += length;
  }
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
