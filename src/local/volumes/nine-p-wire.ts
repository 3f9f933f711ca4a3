/**
 * Messages of 9P2000.L, the protocol of Linux's v9fs: https://github.com/chaos/diod/blob/master/protocol.md. A message is a u32 length that counts itself, a u8 type, a u16 tag
 * and the fields of its type; all numbers are little-endian. A string has a u16 length and a character for each byte.
 */
import { VolumeError } from "./errno.js";

/** Bytes before the fields of a message. */
export const HEADER_BYTES = 7;

/** Types of requests. That of an answer is one more. */
export const T = {
  STATFS: 8,
  LOPEN: 12,
  LCREATE: 14,
  SYMLINK: 16,
  MKNOD: 18,
  RENAME: 20,
  READLINK: 22,
  GETATTR: 24,
  SETATTR: 26,
  XATTRWALK: 30,
  XATTRCREATE: 32,
  READDIR: 40,
  FSYNC: 50,
  LOCK: 52,
  GETLOCK: 54,
  LINK: 70,
  MKDIR: 72,
  RENAMEAT: 74,
  UNLINKAT: 76,
  VERSION: 100,
  ATTACH: 104,
  FLUSH: 108,
  WALK: 110,
  READ: 116,
  WRITE: 118,
  CLUNK: 120,
  REMOVE: 122,
} as const;

/** Type of the answer that a request has failed. */
export const RLERROR = 7;

/** Identity of a file: bits of its kind, and a number that no other file of the mount has. */
export interface Qid {
  type: number;
  path: number;
}

/** Reads the fields of a request. @throws {VolumeError} EINVAL when there are fewer bytes than a field has */
export class Fields {
  private readonly view: DataView;
  private at = HEADER_BYTES;

  constructor(private readonly message: Uint8Array) {
    this.view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** Reads a u64. @throws {VolumeError} EINVAL beyond 2^53, where a number is no longer exact */
  u64(): number {
    const at = this.take(8);
    const value = this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * 2 ** 32;
    if (!Number.isSafeInteger(value)) throw new VolumeError("EINVAL");
    return value;
  }

  string(): string {
    return String.fromCharCode(...this.bytes(this.u16()));
  }

  bytes(count: number): Uint8Array {
    const at = this.take(count);
    return this.message.subarray(at, at + count);
  }

  private take(count: number): number {
    const at = this.at;
    if (at + count > this.message.byteLength) throw new VolumeError("EINVAL");
    this.at += count;
    return at;
  }
}

/** Writes the fields of an answer, after room for its header. */
export class Answer {
  private message: Uint8Array<ArrayBuffer>;
  private view: DataView;
  private end = HEADER_BYTES;

  /** `bytes` is the room that its fields probably take. */
  constructor(bytes = 64) {
    this.message = new Uint8Array(HEADER_BYTES + bytes);
    this.view = new DataView(this.message.buffer);
  }

  u8(value: number): this {
    const at = this.grow(1);
    this.view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.grow(2);
    this.view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.grow(4);
    this.view.setUint32(at, value, true);
    return this;
  }

  u64(value: number): this {
    const at = this.grow(8);
    this.view.setUint32(at, value % 2 ** 32, true);
    this.view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    return this;
  }

  /** Writes a time as seconds and nanoseconds. */
  time(ms: number): this {
    const seconds = Math.floor(ms / 1000);
    // A time before 1970 is a negative number of 64 bits.
    const low = ((seconds % 2 ** 32) + 2 ** 32) % 2 ** 32;
    const at = this.grow(8);
    this.view.setUint32(at, low, true);
    this.view.setInt32(at + 4, Math.floor(seconds / 2 ** 32), true);
    return this.u64(Math.min(Math.max(Math.round((ms - seconds * 1000) * 1e6), 0), 999_999_999));
  }

  string(value: string): this {
    this.u16(value.length);
    const at = this.grow(value.length);
    for (let i = 0; i < value.length; i++) this.message[at + i] = value.charCodeAt(i);
    return this;
  }

  qid({ type, path }: Qid): this {
    // The second field, a version, serves caches, which the mount does not have.
    return this.u8(type).u32(0).u64(path);
  }

  /** Number of bytes of the fields so far. */
  get size(): number {
    return this.end - HEADER_BYTES;
  }

  /** Adds room for bytes, and returns it. */
  room(bytes: number): Uint8Array {
    const at = this.grow(bytes);
    return this.message.subarray(at, at + bytes);
  }

  /** Takes the end away, down to `size` bytes of fields. */
  cut(size: number): this {
    this.end = HEADER_BYTES + size;
    return this;
  }

  /** Writes a u32 into fields that are there. */
  patch(at: number, value: number): this {
    this.view.setUint32(HEADER_BYTES + at, value, true);
    return this;
  }

  /** Writes a u16 into fields that are there. */
  patch16(at: number, value: number): this {
    this.view.setUint16(HEADER_BYTES + at, value, true);
    return this;
  }

  /** Returns the message, with its header. */
  finish(type: number, tag: number): Uint8Array {
    this.view.setUint32(0, this.end, true);
    this.view.setUint8(4, type);
    this.view.setUint16(5, tag, true);
    return this.message.subarray(0, this.end);
  }

  private grow(count: number): number {
    const at = this.end;
    this.end += count;
    if (this.end > this.message.byteLength) {
      const larger = new Uint8Array(Math.max(this.end, 2 * this.message.byteLength));
      larger.set(this.message);
      this.message = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }
}
