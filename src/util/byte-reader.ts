import { concatBytes } from "./bytes.js";

const NEWLINE = 10;

/** Errors of a {@link ByteReader}. */
export interface ByteReaderErrors {
  /** Creates the error for a line that is longer than `limit` bytes. */
  tooLong(limit: number): Error;
  /** Creates the error for a stream that ends in the middle of something. */
  cut(): Error;
}

/** Bytes of a stream, by lines and by counts. */
export class ByteReader {
  private rest: Uint8Array = new Uint8Array(0);
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(
    stream: ReadableStream<Uint8Array>,
    private readonly errors: ByteReaderErrors,
  ) {
    this.reader = stream.getReader();
  }

  /** Resolves to the next line without its end, a character for each byte; undefined at the end of the stream. Rejects when it is longer than `limit` bytes. */
  async line(limit: number): Promise<string | undefined> {
    for (let seen = 0; ; ) {
      const end = this.rest.indexOf(NEWLINE, seen);
      if (end >= 0 && end <= limit) {
        const line = latin1(this.rest.subarray(0, end));
        this.rest = this.rest.subarray(end + 1);
        return line.endsWith("\r") ? line.slice(0, -1) : line;
      }
      seen = this.rest.byteLength;
      if (seen > limit) throw this.errors.tooLong(limit);
      if (!(await this.more())) {
        if (seen > 0) throw this.errors.cut();
        return undefined;
      }
    }
  }

  /** Resolves to at least one and at most `count` of the next bytes; undefined at the end of the stream. */
  async some(count: number): Promise<Uint8Array | undefined> {
    if (this.rest.byteLength === 0 && !(await this.more())) return undefined;
    const bytes = this.rest.subarray(0, count);
    this.rest = this.rest.subarray(bytes.byteLength);
    return bytes;
  }

  /** Resolves to exactly `count` bytes. */
  async exactly(count: number): Promise<Uint8Array> {
    while (this.rest.byteLength < count) if (!(await this.more())) throw this.errors.cut();
    const bytes = this.rest.subarray(0, count);
    this.rest = this.rest.subarray(count);
    return bytes;
  }

  /** Gives up the stream. */
  cancel(reason?: unknown): Promise<void> {
    return this.reader.cancel(reason).catch(() => {});
  }

  private async more(): Promise<boolean> {
    const { done, value } = await this.reader.read();
    if (done) return false;
    this.rest = this.rest.byteLength === 0 ? value : concatBytes([this.rest, value]);
    return true;
  }
}

/** Returns bytes as text of one character a byte. TextDecoder has no such encoding: its "latin1" is windows-1252. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.byteLength; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}
