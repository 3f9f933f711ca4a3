/** The smallest programs, as a test of processors needs them. */

const MAGIC = [0x7f, 0x45, 0x4c, 0x46];
const LITTLE_ENDIAN = 1;
const VERSION = 1;
const EXECUTABLE = 2;
const I386 = 3;
const X86_64 = 62;
const HEADER_BYTES = 52;
const ENTRY_BYTES = 32;
const ADDRESS = 0x08048000;
/** exit(0), as Linux has it for i386. */
const EXIT = [0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80];

/** A header of a program for x86-64: as much of it as a kernel of 32 bits looks at. */
export function elf64(): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  bytes.set([...MAGIC, 2, LITTLE_ENDIAN, VERSION]);
  view.setUint16(16, EXECUTABLE, true);
  view.setUint16(18, X86_64, true);
  view.setUint32(20, VERSION, true);
  return bytes;
}

/** A program for i386 that executes `code` and exits with 0. */
export function elf32(code: readonly number[]): Uint8Array {
  const start = HEADER_BYTES + ENTRY_BYTES;
  const body = [...code, ...EXIT];
  const bytes = new Uint8Array(start + body.length);
  const view = new DataView(bytes.buffer);
  bytes.set([...MAGIC, 1, LITTLE_ENDIAN, VERSION]);
  const halves = { 16: EXECUTABLE, 18: I386, 40: HEADER_BYTES, 42: ENTRY_BYTES, 44: 1 };
  for (const [at, value] of Object.entries(halves)) view.setUint16(Number(at), value, true);
  // The header names the first instruction and the table of one entry behind it: all of the file, to be read and executed.
  const words = { 20: VERSION, 24: ADDRESS + start, 28: HEADER_BYTES };
  const entry = { 52: 1, 60: ADDRESS, 64: ADDRESS, 68: bytes.length, 72: bytes.length, 76: 5, 80: 4096 };
  for (const [at, value] of Object.entries({ ...words, ...entry })) view.setUint32(Number(at), value, true);
  bytes.set(body, start);
  return bytes;
}
