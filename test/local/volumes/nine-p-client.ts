import { RLERROR, T } from "../../../src/local/volumes/nine-p-wire.js";

const HEADER_BYTES = 7;
const NO_FID = 0xffff_ffff;

/** A field of a request: a number of so many bits, a string with its length, or bytes. */
export type Field =
  | { u8: number }
  | { u16: number }
  | { u32: number }
  | { u64: number }
  | string
  | Uint8Array;

/** Something that answers messages of 9P. */
export interface Server {
  handle(request: Uint8Array, reply: (answer: Uint8Array) => void): void;
}

/** The error of a request, with Linux's number. */
export class Refused extends Error {
  constructor(readonly errno: number) {
    super(`errno ${errno}`);
  }
}

/** Makes a message. */
export function message(type: number, tag: number, fields: readonly Field[]): Uint8Array {
  const parts = fields.map(bytesOf);
  const length = HEADER_BYTES + parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return Buffer.concat([number(length, 4), number(type, 1), number(tag, 2), ...parts]);
}

function bytesOf(field: Field): Uint8Array {
  if (field instanceof Uint8Array) return field;
  if (typeof field === "string")
    return Buffer.concat([number(Buffer.from(field, "latin1").length, 2), Buffer.from(field, "latin1")]);
  if ("u8" in field) return number(field.u8, 1);
  if ("u16" in field) return number(field.u16, 2);
  if ("u32" in field) return number(field.u32, 4);
  return number(field.u64, 8);
}

function number(value: number, bytes: number): Uint8Array {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return out.subarray(0, bytes);
}

const u32 = (value: number): Field => ({ u32: value });
const u64 = (value: number): Field => ({ u64: value });

/** A client of 9P2000.L, as Linux is one: it opens files by fids, and fids by names. */
export class NinePClient {
  private fids = 0;
  private tags = 0;

  constructor(private readonly server: Server) {}

  /** Sends a request and returns the fields of its answer. @throws {Refused} */
  async call(type: number, ...fields: Field[]): Promise<Buffer> {
    const answer = await this.send(message(type, this.tags++ & 0x7fff, fields));
    if (answer[4] === RLERROR) throw new Refused(answer.readUInt32LE(HEADER_BYTES));
    if (answer[4] !== type + 1) throw new Error(`an answer of type ${answer[4]} to one of ${type}`);
    return answer.subarray(HEADER_BYTES);
  }

  /** Sends a message as it is. */
  send(request: Uint8Array): Promise<Buffer> {
    return new Promise((resolve) => this.server.handle(request, (answer) => resolve(Buffer.from(answer))));
  }

  async attach(): Promise<number> {
    await this.call(T.VERSION, u32(512_000), "9P2000.L");
    const fid = this.fids++;
    await this.call(T.ATTACH, u32(fid), u32(NO_FID), "", "", u32(0));
    return fid;
  }

  /** Walks by names and returns the new fid. */
  async walk(from: number, ...names: string[]): Promise<number> {
    const fid = this.fids++;
    const answer = await this.call(T.WALK, u32(from), u32(fid), { u16: names.length }, ...names);
    if (answer.readUInt16LE(0) < names.length) throw new Refused(2);
    return fid;
  }

  async clunk(fid: number): Promise<void> {
    await this.call(T.CLUNK, u32(fid));
  }

  async open(fid: number, flags = 0): Promise<void> {
    await this.call(T.LOPEN, u32(fid), u32(flags));
  }

  /** Creates a file in a directory, whose fid becomes the file's. */
  async create(fid: number, name: string, flags = 2, mode = 0o644): Promise<void> {
    await this.call(T.LCREATE, u32(fid), name, u32(flags), u32(mode), u32(0));
  }

  async read(fid: number, at = 0, count = 100_000): Promise<string> {
    const answer = await this.call(T.READ, u32(fid), u64(at), u32(count));
    return answer.toString("latin1", 4, 4 + answer.readUInt32LE(0));
  }

  async write(fid: number, text: string, at = 0): Promise<number> {
    const bytes = Buffer.from(text, "latin1");
    return (await this.call(T.WRITE, u32(fid), u64(at), u32(bytes.length), bytes)).readUInt32LE(0);
  }

  async stat(fid: number) {
    const answer = await this.call(T.GETATTR, u32(fid), u64(0x7ff));
    return {
      inode: Number(answer.readBigUInt64LE(13)),
      mode: answer.readUInt32LE(21),
      uid: answer.readUInt32LE(25),
      links: Number(answer.readBigUInt64LE(33)),
      size: Number(answer.readBigUInt64LE(49)),
      mtimeMs: Number(answer.readBigUInt64LE(89)) * 1000 + Number(answer.readBigUInt64LE(97)) / 1e6,
    };
  }

  /** Lists an open directory in as many reads as it takes. */
  async list(fid: number, count = 512): Promise<{ name: string; inode: number }[]> {
    const entries: { name: string; inode: number }[] = [];
    for (let offset = 0; ; ) {
      const answer = await this.call(T.READDIR, u32(fid), u64(offset), u32(count));
      const end = 4 + answer.readUInt32LE(0);
      if (end === 4) return entries;
      for (let at = 4; at < end; ) {
        const inode = Number(answer.readBigUInt64LE(at + 5));
        offset = Number(answer.readBigUInt64LE(at + 13));
        const length = answer.readUInt16LE(at + 22);
        entries.push({ name: answer.toString("latin1", at + 24, at + 24 + length), inode });
        at += 24 + length;
      }
    }
  }
}
