import { concatBytes } from "../../util/bytes.js";
import { sha256Hex } from "../assets/assets.js";

/**
 * A machine at rest. There are two kinds: "any", right after the agent has sent HELLO, fits a box with any disk; "new", with an empty
 * disk mounted, fits a box that begins with that disk, which is then part of the boot image, and starts faster. Both are in one file, since they
 * differ in some two hundred pages: the file that a box was created with is all that it needs to start again.
 *
 * The emulator's state is stored without the memory, and the pages of memory that are not zero apart from it, so that they go straight into the new machine's
 * memory and a zero page is never touched. The format: "BXSN", u32 version, u32 length of the header, the header as JSON; then for each machine the state, the
 * disk, the pages in order. Of the second machine only the difference to the first is stored, that of the state in blocks as large as pages.
 */
export interface BootImage {
  fingerprint: string;
  memoryMb: number;
  /** State of v86, without its memory. */
  state: Uint8Array;
  /** The disk that goes with it, as a template (see disk-template.ts); empty in a boot image that fits any. */
  disk: Uint8Array;
  /** Contents of the memory, except for pages that are zero or continued. */
  pieces: Piece[];
  /** Consecutive pages that {@link continuePage} makes from those before them: first page, count, and so on. */
  continued: number[];
}

/** Consecutive pages of memory. */
interface Piece {
  /** Number of the first page. */
  page: number;
  bytes: Uint8Array;
}

/** One machine in the header of a boot image. Lists of pages are: first page, count, and so on, ascending. */
interface MachineHeader {
  fingerprint: string;
  stateBytes: number;
  diskBytes: number;
  /** Pages that are in the file. */
  runs: number[];
  continued: number[];
  /** Only in the second machine: blocks of the state that are in the file, and pages that are the same as in the first machine. */
  stateRuns?: number[];
  kept?: number[];
}

/** Size of a page of the emulated machine. */
export const PAGE_BYTES = 4096;
const MAGIC = 0x4e535842; // "BXSN"
const VERSION = 2;
/** Size of the records whose series {@link continuePage} continues: `struct page` of our kernel. Another size would only make boot images larger. */
const RECORD_BYTES = 40;
const PREFIX_BYTES = 12;

/**
 * Returns a hash of everything that must be the same when a boot image is made and when it is used. One that does not match is ignored, since
 * boot images only make starts faster.
 */
export function fingerprint(parts: {
  emulator: string;
  memoryMb: number;
  devices: string;
  kernel: string;
  initramfs: string;
  base: string;
  /** Name of a new box's disk template; empty for a boot image that fits any. */
  disk: string;
}): Promise<string> {
  const { emulator, memoryMb, devices, kernel, initramfs, base, disk } = parts;
  const ordered = [VERSION, emulator, memoryMb, devices, kernel, initramfs, base, disk];
  return sha256Hex(new TextEncoder().encode(JSON.stringify(ordered)));
}

/** Joins two boot images of one machine each. */
export function joinBootImages(first: Uint8Array, second: Uint8Array): Uint8Array {
  const [one, two] = [first, second].map((bytes) => {
    const headerBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
    const { memoryMb, machines } = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + headerBytes));
    return decodeBootImage(bytes, machines[0].fingerprint, memoryMb);
  });
  return encodeBootImage(one!, two);
}

/** Returns the bytes of a boot image of one machine, or of two with the same memory, the second as its difference to the first. */
export function encodeBootImage(first: BootImage, second?: BootImage): Uint8Array {
  const machines: MachineHeader[] = [];
  const parts: Uint8Array[] = [];
  const add = (header: Partial<MachineHeader>, bootImage: BootImage, state: Uint8Array[], pages: Piece[]) => {
    const runs: number[] = [];
    for (const { page, bytes } of pages) addPages(runs, page, bytes.byteLength / PAGE_BYTES);
    const { fingerprint: id, continued, disk } = bootImage;
    const sizes = { stateBytes: bootImage.state.byteLength, diskBytes: disk.byteLength };
    machines.push({ fingerprint: id, ...sizes, runs, continued, ...header });
    parts.push(...state, disk, ...pages.map(({ bytes }) => bytes));
  };
  add({}, first, [first.state], first.pieces);
  if (second) {
    const state = differences(blocksOf(first.state), blocksOf(second.state));
    const memory = differences(pagesOf(first), pagesOf(second));
    const blocks = state.changed.map(({ bytes }) => bytes);
    add({ stateRuns: state.runs, kept: memory.kept }, second, blocks, memory.changed);
  }
  const header = new TextEncoder().encode(JSON.stringify({ memoryMb: first.memoryMb, machines }));
  const prefix = new DataView(new ArrayBuffer(PREFIX_BYTES));
  prefix.setUint32(0, MAGIC, true);
  prefix.setUint32(4, VERSION, true);
  prefix.setUint32(8, header.byteLength, true);
  return concatBytes([new Uint8Array(prefix.buffer), header, ...parts]);
}

/** Splits a state into blocks, by number, as {@link pagesOf} splits memory. The last block is filled up with zeroes. */
function blocksOf(state: Uint8Array): Map<number, Uint8Array> {
  const padded = new Uint8Array(Math.ceil(state.byteLength / PAGE_BYTES) * PAGE_BYTES);
  padded.set(state);
  return pagesOf({ pieces: [{ page: 0, bytes: padded }] });
}

function pagesOf({ pieces }: Pick<BootImage, "pieces">): Map<number, Uint8Array> {
  const pages = new Map<number, Uint8Array>();
  for (const { page, bytes } of pieces) {
    for (let at = 0; at < bytes.byteLength; at += PAGE_BYTES)
      pages.set(page + at / PAGE_BYTES, bytes.subarray(at, at + PAGE_BYTES));
  }
  return pages;
}

function differences(before: Map<number, Uint8Array>, after: Map<number, Uint8Array>) {
  const kept: number[] = [];
  const runs: number[] = [];
  const changed: Piece[] = [];
  for (const [page, bytes] of after) {
    const same = before.get(page)?.every((byte, i) => byte === bytes[i]);
    addPages(same ? kept : runs, page, 1);
    if (!same) changed.push({ page, bytes });
  }
  return { kept, runs, changed };
}

/** Reads a boot image. Throws an error with the reason unless `bytes` is complete and has a machine with this fingerprint and this much memory. */
export function decodeBootImage(
  bytes: Uint8Array,
  expectedFingerprint: string,
  expectedMemoryMb: number,
): BootImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < PREFIX_BYTES || view.getUint32(0, true) !== MAGIC)
    throw new Error("it is not a boot image");
  if (view.getUint32(4, true) !== VERSION) throw new Error("it has another version");
  const headerEnd = PREFIX_BYTES + view.getUint32(8, true);
  if (headerEnd > bytes.byteLength) throw new Error("it is truncated");
  const { memoryMb, machines } = parseHeader(bytes.subarray(PREFIX_BYTES, headerEnd));
  const [first, second] = machines;
  const wanted = machines.findIndex((machine) => machine?.fingerprint === expectedFingerprint);
  if (wanted < 0 || memoryMb !== expectedMemoryMb) throw new Error("it was made for another machine");

  const pageLimit = (expectedMemoryMb * 2 ** 20) / PAGE_BYTES;
  let end = headerEnd;
  const take = (length: number) => {
    end += length;
    return bytes.subarray(end - length, end);
  };
  const takeParts = (header: MachineHeader) => {
    requireHeader(header, pageLimit);
    const { stateRuns, stateBytes, diskBytes, runs } = header;
    return {
      state: take(stateRuns ? pageCount(stateRuns) * PAGE_BYTES : stateBytes),
      disk: take(diskBytes),
      pages: take(pageCount(runs) * PAGE_BYTES),
    };
  };
  const whole = takeParts(first);
  const difference = second && takeParts(second);
  if (end !== bytes.byteLength) throw new Error("it is truncated");

  const base = { fingerprint: expectedFingerprint, memoryMb: expectedMemoryMb };
  const pieces = piecesOf(first.runs, whole.pages);
  if (wanted === 0 || !second || !difference) {
    // A copy, because v86 needs a buffer of its own that starts at 0.
    return { ...base, state: whole.state.slice(), disk: whole.disk, pieces, continued: first.continued };
  }
  return {
    ...base,
    state: patchState(whole.state, second, difference.state),
    disk: difference.disk,
    pieces: [...keptPieces(pieces, second.kept ?? []), ...piecesOf(second.runs, difference.pages)],
    continued: second.continued,
  };
}

function parseHeader(header: Uint8Array): { memoryMb: number; machines: [MachineHeader, MachineHeader?] } {
  let parsed: { memoryMb?: number; machines?: unknown } | null;
  try {
    parsed = JSON.parse(new TextDecoder().decode(header));
  } catch {
    throw new Error("its header is damaged");
  }
  const { memoryMb = 0, machines } = parsed ?? {};
  const isList = Array.isArray(machines) && (machines.length === 1 || machines.length === 2);
  if (!isList || !machines.every((machine) => typeof machine === "object" && machine !== null))
    throw new Error("its header is damaged");
  return { memoryMb, machines: machines as [MachineHeader, MachineHeader?] };
}

function requireHeader(machine: MachineHeader, pageLimit: number): void {
  const { stateBytes, diskBytes, runs, continued, stateRuns = [], kept = [] } = machine;
  if (!isCount(stateBytes) || !isCount(diskBytes)) throw new Error("its header is damaged");
  const lists = [runs, continued, kept].every((list) => isPageList(list, pageLimit));
  if (!lists || !isPageList(stateRuns, Math.ceil(stateBytes / PAGE_BYTES)) || continued[0] === 0)
    throw new Error("its list of pages is damaged");
}

function piecesOf(runs: readonly number[], pages: Uint8Array): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  eachRun(runs, (page, count) => {
    pieces.push({ page, bytes: pages.subarray(at, at + count * PAGE_BYTES) });
    at += count * PAGE_BYTES;
  });
  return pieces;
}

/** Returns the listed ones of the pieces' pages. Both ascend, and listed neighbours are in one piece. */
function keptPieces(pieces: readonly Piece[], kept: readonly number[]): Piece[] {
  const found: Piece[] = [];
  let i = 0;
  eachRun(kept, (page, count) => {
    while (i < pieces.length && endOf(pieces[i]!) <= page) i++;
    const piece = pieces[i];
    if (!piece || page < piece.page || page + count > endOf(piece))
      throw new Error("its list of pages is damaged");
    const at = (page - piece.page) * PAGE_BYTES;
    found.push({ page, bytes: piece.bytes.subarray(at, at + count * PAGE_BYTES) });
  });
  return found;
}

const endOf = ({ page, bytes }: Piece) => page + bytes.byteLength / PAGE_BYTES;

function patchState(
  before: Uint8Array,
  { stateBytes, stateRuns = [] }: MachineHeader,
  blocks: Uint8Array,
): Uint8Array {
  if (stateBytes > before.byteLength + blocks.byteLength) throw new Error("its header is damaged");
  const state = new Uint8Array(stateBytes);
  state.set(before.subarray(0, stateBytes));
  for (const { page, bytes } of piecesOf(stateRuns, blocks)) {
    const at = page * PAGE_BYTES;
    state.set(bytes.subarray(0, stateBytes - at), at);
  }
  return state;
}

/** Returns a copy of the pages of `memory` that are not zero. */
export function packPages(
  memory: Uint8Array,
  isZero: (page: number) => boolean,
): Pick<BootImage, "continued" | "pieces"> {
  const runs: number[] = [];
  const continued: number[] = [];
  const expected = new Uint8Array(2 * PAGE_BYTES);
  for (let page = 0; page < memory.byteLength / PAGE_BYTES; page++) {
    if (isZero(page)) continue;
    const contents = memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (page > 0) expected.set(memory.subarray((page - 1) * PAGE_BYTES, page * PAGE_BYTES));
    continuePage(expected, 1);
    const isContinued = contents.every((byte, i) => byte === expected[PAGE_BYTES + i]);
    addPages(isContinued ? continued : runs, page, 1);
  }
  const pieces: Piece[] = [];
  eachRun(runs, (page, count) => {
    pieces.push({ page, bytes: memory.slice(page * PAGE_BYTES, (page + count) * PAGE_BYTES) });
  });
  return { continued, pieces };
}

/** Writes a boot image's pages into memory that is all zero. */
export function unpackPages({ pieces, continued }: BootImage, memory: Uint8Array): void {
  for (const { page, bytes } of pieces) memory.set(bytes, page * PAGE_BYTES);
  // In ascending order, so that the page before a continued one is there.
  eachRun(continued, (first, count) => {
    for (let page = first; page < first + count; page++) continuePage(memory, page);
  });
}

/**
 * Fills a page by continuing the series of the records before it: each word changes from record to record as it did between the two before.
 * The kernel's table of free pages is such a series, and would otherwise be half of a boot image.
 */
function continuePage(memory: Uint8Array, page: number): void {
  const words = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength / 4);
  const record = RECORD_BYTES / 4;
  const end = ((page + 1) * PAGE_BYTES) / 4;
  for (let i = (page * PAGE_BYTES) / 4; i < end; i++) {
    words[i] = 2 * words[i - record]! - words[i - 2 * record]!;
  }
}

function addPages(list: number[], page: number, count: number): void {
  const last = list.length - 2;
  if (last >= 0 && list[last]! + list[last + 1]! === page) list[last + 1]! += count;
  else list.push(page, count);
}

function pageCount(list: readonly number[]): number {
  let sum = 0;
  eachRun(list, (_, count) => {
    sum += count;
  });
  return sum;
}

function eachRun(list: readonly number[], visit: (first: number, count: number) => void): void {
  for (let i = 0; i < list.length; i += 2) visit(list[i]!, list[i + 1]!);
}

/** Schema of a list of first page, count, and so on: ascending, within memory. */
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
