/** Fields of the payloads of frames, in the notation of wasm/agent/protocol.h. Bounds are checked on encoding and decoding. */

/**
 * Text of a frame. Encoding takes a string as UTF-8, or bytes as they are, since Linux paths and arguments may have any
 * bytes but zero. Decoding returns a string, with U+FFFD for bytes that are not UTF-8: the only text from the guest,
 * the detail of a failure, is for messages and may be cut in the middle of a character.
 */
export type Text = string | Uint8Array;

/** The error of bytes or fields that the protocol forbids. Their connection cannot go on. */
export class FrameError extends Error {
  override readonly name = "FrameError";

  constructor(
    message: string,
    /** Name of the field; empty if the frame itself is wrong. `what` says what is wrong with it. */
    readonly field = "",
    readonly what = message,
  ) {
    super(message);
  }
}

/** A payload that is being written or read, field by field. */
export class Payload {
  field = "";
  readonly parts: Uint8Array[] = [];
  private at = 0;
  private readonly view: DataView;

  constructor(
    readonly type: string,
    private readonly bytes: Uint8Array = new Uint8Array(0),
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get rest(): number {
    return this.bytes.byteLength - this.at;
  }

  take(length: number): number {
    if (length > this.rest) throw this.error("ends early");
    this.at += length;
    return this.at - length;
  }

  /** Reads the next integer, of 1, 4 or 8 bytes. */
  read(width: number, min: number, max: number): number {
    const at = this.take(width);
    if (width === 8) return this.check(Number(this.view.getBigUint64(at, true)), min, max);
    return this.check(width === 4 ? this.view.getUint32(at, true) : this.view.getUint8(at), min, max);
  }

  readU64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  readBytes(min: number, max: number): Uint8Array {
    const length = this.checkLength(this.read(4, 0, 0xffff_ffff), min, max);
    const at = this.take(length);
    return this.bytes.subarray(at, at + length);
  }

  write(width: number, value: number | bigint): void {
    const part = new Uint8Array(8);
    new DataView(part.buffer).setBigUint64(0, BigInt(value), true);
    this.parts.push(part.subarray(0, width));
  }

  writeBytes(value: Uint8Array, min: number, max: number): void {
    this.write(4, this.checkLength(value.byteLength, min, max));
    this.parts.push(value);
  }

  check(value: number, min: number, max: number): number {
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw this.error(`must be from ${min} to ${max}, got ${value}`);
  }

  private checkLength(bytes: number, min: number, max: number): number {
    if (bytes >= min && bytes <= max) return bytes;
    throw this.error(`must be from ${min} to ${max} bytes, got ${bytes}`);
  }

  error(what: string): FrameError {
    return new FrameError(`${this.type}${this.field && "."}${this.field} ${what}`, this.field, what);
  }
}

/** Encoder and decoder of a field, with the least and the most bytes that it takes. */
export interface Field<T> {
  size: readonly [min: number, max: number];
  write(payload: Payload, value: T): void;
  read(payload: Payload): T;
}

const MAX_CLOCK = (1n << 63n) - 1n;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Field with an integer of 1, 4 or 8 bytes. */
export const integer = (width: number, min: number, max: number): Field<number> => ({
  size: [width, width],
  write: (payload, value) => payload.write(width, payload.check(value, min, max)),
  read: (payload) => payload.read(width, min, max),
});

const within = (clock: bigint, payload: Payload): bigint => {
  if (clock >= 0n && clock <= MAX_CLOCK) return clock;
  throw payload.error("is out of range");
};
/** Field with nanoseconds, less than 2^63. */
export const clock: Field<bigint> = {
  size: [8, 8],
  write: (payload, value) => payload.write(8, within(value, payload)),
  read: (payload) => within(payload.readU64(), payload),
};

export const bytes = (min: number, max: number): Field<Uint8Array> => ({
  size: [4 + min, 4 + max],
  write: (payload, value) => payload.writeBytes(value, min, max),
  read: (payload) => payload.readBytes(min, max),
});

const withoutZero = (value: Uint8Array, payload: Payload): Uint8Array => {
  if (value.includes(0)) throw payload.error("must not contain a null byte");
  return value;
};

export const text = (min: number, max: number): Field<Text> => ({
  size: [4 + min, 4 + max],
  write(payload, value) {
    const raw = typeof value === "string" ? encoder.encode(value) : value;
    payload.writeBytes(withoutZero(raw, payload), min, max);
  },
  read: (payload) => decoder.decode(withoutZero(payload.readBytes(min, max), payload)),
});

/** Field with text whose bytes count, such as a path that comes from the guest and is used. */
export const textBytes = (min: number, max: number): Field<Uint8Array> => ({
  size: [4 + min, 4 + max],
  write: (payload, value) => payload.writeBytes(withoutZero(value, payload), min, max),
  read: (payload) => withoutZero(payload.readBytes(min, max), payload),
});

/** Field with a list of strings that together take at most `maxBytes`. */
export function list(min: number, max: number, maxBytes: number): Field<readonly Text[]> {
  const item = text(0, maxBytes);
  return {
    size: [4 + 4 * min, maxBytes],
    write(payload, value) {
      payload.write(4, payload.check(value.length, min, max));
      for (const each of value) item.write(payload, each);
    },
    read: (payload) => Array.from({ length: payload.read(4, min, max) }, () => item.read(payload)),
  };
}

/** Field with at most `max` records, which have the same fields. */
export function records<T extends object>(
  max: number,
  fields: { [K in keyof T]: Field<T[K]> },
): Field<readonly T[]> {
  const entries = Object.entries(fields) as [keyof T & string, Field<unknown>][];
  return {
    size: [4, 4 + max * entries.reduce((total, [, { size }]) => total + size[1], 0)],
    write(payload, value) {
      payload.write(4, payload.check(value.length, 0, max));
      for (const record of value) for (const [name, field] of entries) field.write(payload, record[name]);
    },
    read: (payload) =>
      Array.from(
        { length: payload.read(4, 0, max) },
        () => Object.fromEntries(entries.map(([name, field]) => [name, field.read(payload)])) as T,
      ),
  };
}

/** Field of one byte that is true or false. */
export const flag: Field<boolean> = {
  size: [1, 1],
  write: (payload, value) => payload.write(1, payload.check(Number(value), 0, 1)),
  read: (payload) => payload.read(1, 0, 1) === 1,
};

/** Field of one byte that stands for a name. */
export const oneOf = <T extends string>(names: readonly T[]): Field<T> => ({
  size: [1, 1],
  write: (payload, value) => payload.write(1, payload.check(names.indexOf(value), 0, names.length - 1)),
  read: (payload) => names[payload.read(1, 0, names.length - 1)]!,
});
