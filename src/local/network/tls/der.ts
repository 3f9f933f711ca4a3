/** Values in DER, as certificates have them. Source: ITU-T X.690. */
import { concatBytes } from "../../../util/bytes.js";

export type Der = Uint8Array;

function value(tag: number, ...parts: Uint8Array[]): Der {
  const body = concatBytes(parts);
  const { byteLength: length } = body;
  if (length < 0x80) return concatBytes([Uint8Array.of(tag, length), body]);
  if (length < 0x100) return concatBytes([Uint8Array.of(tag, 0x81, length), body]);
  return concatBytes([Uint8Array.of(tag, 0x82, length >> 8, length), body]);
}

export const sequence = (...parts: Der[]): Der => value(0x30, ...parts);
export const set = (...parts: Der[]): Der => value(0x31, ...parts);
export const boolean = (flag: boolean): Der => value(0x01, Uint8Array.of(flag ? 0xff : 0));
export const bitString = (bytes: Uint8Array, unusedBits = 0): Der =>
  value(0x03, Uint8Array.of(unusedBits), bytes);
export const octetString = (bytes: Uint8Array): Der => value(0x04, bytes);
export const utf8 = (text: string): Der => value(0x0c, new TextEncoder().encode(text));
/** A value with a tag of its context: `constructed` when it holds other values. */
export const tagged = (tag: number, constructed: boolean, bytes: Uint8Array): Der =>
  value((constructed ? 0xa0 : 0x80) | tag, bytes);

/** A whole number that is not negative, from its bytes. */
export function integer(bytes: Uint8Array): Der {
  let at = 0;
  while (at < bytes.byteLength - 1 && bytes[at] === 0) at++;
  const digits = bytes.subarray(at);
  return digits[0]! & 0x80 ? value(0x02, Uint8Array.of(0), digits) : value(0x02, digits);
}

export function objectId(text: string): Der {
  const [first, second, ...others] = text.split(".").map(Number);
  const bytes = [first! * 40 + second!];
  for (const other of others) {
    const digits = [other & 127];
    for (let left = other >>> 7; left > 0; left >>>= 7) digits.unshift((left & 127) | 128);
    bytes.push(...digits);
  }
  return value(0x06, Uint8Array.from(bytes));
}

/** A time, to the second. */
export function time(date: Date): Der {
  const text = `${date.toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
  // Until 2049 without the century: RFC 5280, 4.1.2.5.
  const isShort = date.getUTCFullYear() < 2050;
  return value(isShort ? 0x17 : 0x18, new TextEncoder().encode(isShort ? text.slice(2) : text));
}
