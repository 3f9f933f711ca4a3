import type { Random } from "../faults/random.js";

/** Where checks of lengths and counts are wrong, if they are. */
const NUMBERS = [
  0, 1, 2, 3, 4, 7, 8, 11, 12, 13, 31, 32, 64, 127, 128, 255, 256, 4095, 4096, 32_755, 32_756, 32_757, 65_535,
  65_536, 262_143, 262_144, 262_145, 1_048_575, 1_048_576, 1_048_577, 16_777_215, 16_777_216, 16_777_217,
  0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe, 0xffff_ffff,
];
const BYTES = [0, 1, 9, 10, 13, 32, 34, 45, 47, 58, 92, 0x7f, 0x80, 0xc3, 0xfe, 0xff];
/** As they stand in texts. */
const NUMERALS = [
  "-1",
  "0",
  "1",
  "1.5",
  "255",
  "256",
  "4294967296",
  "9007199254740993",
  "1e309",
  "-0",
  "00",
  "",
];
/** A mutation makes an input at most this much longer, so that a million of them take minutes. */
const MAX_GROWTH = 8192;

/** Makes inputs that are almost right out of inputs that are right. The same seed makes the same ones. */
export class Mutator {
  constructor(readonly random: Random) {}

  /** One to five things done to a copy of `bytes`; `others` are what parts may be taken from. */
  mutate(bytes: Uint8Array, others: readonly Uint8Array[] = [bytes]): Uint8Array {
    let mutated: Uint8Array = bytes.slice();
    for (let i = this.random.between(1, this.random.between(1, 5)); i > 0; i--)
      mutated = this.step(mutated, others);
    return mutated;
  }

  /** `bytes` in pieces of any size, some of them empty, each in a buffer of its own or in one that holds more. */
  chunks(bytes: Uint8Array): Uint8Array[] {
    const { random } = this;
    const some = random.pick([1, 2, 7, 64, 1000, 70_000]);
    // Thousands of pieces find no more than a hundred, nearly always.
    const most = random.chance(0.02) ? some : Math.max(some, Math.ceil(bytes.byteLength / 100));
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.byteLength; ) {
      const end = at + random.between(random.chance(0.1) ? 0 : 1, most);
      pieces.push(random.chance(0.5) ? bytes.slice(at, end) : bytes.subarray(at, end));
      at = end;
    }
    return pieces;
  }

  number(): number {
    const { random } = this;
    return random.chance(0.7) ? random.pick(NUMBERS) : random.between(0, 0xffff_ffff);
  }

  /** A value of JSON with one to three of its parts changed for something else. */
  json(value: unknown): unknown {
    let mutated = structuredClone(value);
    for (let i = this.random.between(1, 3); i > 0; i--) mutated = this.jsonStep(mutated);
    return mutated;
  }

  private step(bytes: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    const { random } = this;
    const length = bytes.byteLength;
    const at = random.between(0, length);
    const end = Math.min(length, at + 1 + random.size(Math.max(1, length)));
    switch (random.between(0, 9)) {
      case 0:
        if (at < length) bytes[at]! ^= 1 << random.between(0, 7);
        return bytes;
      case 1:
        if (at < length) bytes[at] = random.pick(BYTES);
        return bytes;
      case 2:
        return bytes.slice(0, at);
      case 3:
        return replace(bytes, at, end, EMPTY);
      case 4: {
        const part = bytes.slice(at, end);
        const times = random.between(
          1,
          Math.max(1, Math.min(40, Math.floor(MAX_GROWTH / (part.byteLength + 1)))),
        );
        return replace(bytes, at, at, join(Array.from({ length: times }, () => part)));
      }
      case 5: {
        const other = random.pick(others);
        const from = random.between(0, other.byteLength);
        const part = other.subarray(from, Math.min(other.byteLength, from + MAX_GROWTH));
        return replace(
          bytes,
          at,
          random.chance(0.5) ? end : at,
          part.subarray(0, random.between(0, part.byteLength)),
        );
      }
      case 6:
      case 7:
        return this.writeNumber(bytes);
      case 8:
        return this.writeNumeral(bytes, at);
      default: {
        const noise = Uint8Array.from({ length: random.size(64) + 1 }, () => random.between(0, 255));
        return replace(bytes, at, at, noise);
      }
    }
  }

  /** In the place of a number, as likely as not: lengths lie at multiples of 4 from the start of what they belong to. */
  private writeNumber(bytes: Uint8Array): Uint8Array {
    const { random } = this;
    const width = random.pick([1, 2, 4, 4, 4, 8]);
    if (bytes.byteLength < width) return bytes;
    const places = bytes.byteLength - width;
    const at = random.chance(0.5)
      ? Math.min(places, 4 * random.size(places >> 2))
      : random.between(0, places);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const number = this.number();
    if (width === 1) view.setUint8(at, number & 255);
    else if (width === 2) view.setUint16(at, number & 65_535, true);
    else if (width === 4) view.setUint32(at, number, true);
    else view.setBigUint64(at, BigInt(number) * (random.chance(0.5) ? 1n : 0xffff_ffffn), true);
    return bytes;
  }

  private writeNumeral(bytes: Uint8Array, from: number): Uint8Array {
    const isDigit = (at: number) => bytes[at]! >= 48 && bytes[at]! <= 57;
    let start = from;
    while (start < bytes.byteLength && !isDigit(start)) start++;
    let end = start;
    while (end < bytes.byteLength && isDigit(end)) end++;
    return start === end ? bytes : replace(bytes, start, end, encoder.encode(this.random.pick(NUMERALS)));
  }

  private jsonStep(value: unknown): unknown {
    const { random } = this;
    const isParent = typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
    if (!isParent || random.chance(0.1)) return this.oddValue(value);
    const parent = value as Record<string, unknown>;
    const keys = Object.keys(parent);
    if (keys.length === 0 || random.chance(0.1)) {
      const key = random.pick(ODD_KEYS);
      return Array.isArray(value)
        ? [...value, this.oddValue(value[0])]
        : JSON.parse(`{${JSON.stringify(key)}:1}`);
    }
    const key = random.pick(keys);
    if (random.chance(0.75)) parent[key] = this.jsonStep(parent[key]);
    else if (Array.isArray(parent))
      parent.splice(Number(key), 1, ...(random.chance(0.5) ? [] : [parent[0], parent[0]]));
    else {
      const taken = parent[key];
      if (random.chance(0.7)) delete parent[key];
      if (random.chance(0.5))
        Object.defineProperty(parent, random.pick(ODD_KEYS), {
          value: taken,
          enumerable: true,
          configurable: true,
          writable: true,
        });
    }
    return parent;
  }

  private oddValue(value: unknown): unknown {
    const { random } = this;
    const odd = [
      null,
      true,
      -1,
      0,
      1.5,
      this.number(),
      Number.MAX_SAFE_INTEGER,
      2 ** 60,
      "",
      "x",
      "__proto__",
      "constructor",
      "../../etc/passwd",
      "\u001b[2J\0\ud800",
      "9".repeat(random.size(5000)),
      [],
      {},
      [value],
      { value },
      nested(random.size(2000)),
    ];
    if (typeof value === "string" && random.chance(0.5)) {
      const at = random.between(0, value.length);
      return (
        value.slice(0, at) + String(random.pick(odd)).slice(0, 100) + value.slice(at + random.between(0, 2))
      );
    }
    return random.pick(odd);
  }
}

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const ODD_KEYS = ["__proto__", "constructor", "toString", "length", "base64", "", "0", "a b\0"];

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

/** Bytes one after the other. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function replace(bytes: Uint8Array, start: number, end: number, by: Uint8Array): Uint8Array {
  return join([bytes.subarray(0, start), by, bytes.subarray(end)]);
}
