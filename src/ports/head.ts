import { BoxRunError } from "../backend/errors.js";

/** Longest head of an answer that is read, in bytes. */
const MAX_HEAD_BYTES = 128 * 1024;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NEWLINE = 10;

/** Start of an answer: status and headers. */
export interface Head {
  status: number;
  statusText: string;
  headers: Headers;
}

/** Bytes of a stream, by lines and by counts. */
export class ByteReader {
  private rest = new Uint8Array(0);
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.reader = stream.getReader();
  }

  /** Resolves to the next line without its end; undefined at the end of the stream. @throws {BoxRunError} PROTOCOL_ERROR for one that is longer than `limit` bytes */
  async line(limit: number): Promise<string | undefined> {
    for (let seen = 0; ; ) {
      const end = this.rest.indexOf(NEWLINE, seen);
      if (end >= 0 && end <= limit) {
        const line = latin1(this.rest.subarray(0, end));
        this.rest = this.rest.subarray(end + 1);
        return line.endsWith("\r") ? line.slice(0, -1) : line;
      }
      seen = this.rest.byteLength;
      if (seen > limit) throw wrong(`a line is longer than ${limit} bytes`);
      if (!(await this.more())) {
        if (seen > 0) throw cut();
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
    while (this.rest.byteLength < count) if (!(await this.more())) throw cut();
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
    if (this.rest.byteLength === 0) this.rest = value as Uint8Array<ArrayBuffer>;
    else {
      const joined = new Uint8Array(this.rest.byteLength + value.byteLength);
      joined.set(this.rest);
      joined.set(value, this.rest.byteLength);
      this.rest = joined;
    }
    return true;
  }
}

/**
 * Reads the head of an answer, those with a status of 1xx but 101 skipped.
 *
 * @throws {BoxRunError} PROTOCOL_ERROR when it is not HTTP/1.1, and STREAM_INTERRUPTED when it breaks off
 */
export async function readHead(reader: ByteReader): Promise<Head> {
  for (;;) {
    const head = await readOne(reader);
    if (head.status >= 200 || head.status === 101) return head;
  }
}

async function readOne(reader: ByteReader): Promise<Head> {
  let left = MAX_HEAD_BYTES;
  const next = async () => {
    const line = await reader.line(left);
    if (line === undefined) throw cut();
    left -= line.length + 2;
    return line;
  };
  const [, status, statusText = ""] = STATUS_LINE.exec(await next()) ?? [];
  if (status === undefined) throw wrong("it does not begin with an HTTP/1.1 status line");
  const headers = new Headers();
  for (let line = await next(); line !== ""; line = await next()) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    // Folded lines, too, which nobody may send any more (RFC 9112, 5.2).
    if (colon < 1 || !TOKEN.test(name)) throw wrong("it has a malformed header");
    try {
      headers.append(name, line.slice(colon + 1).trim());
    } catch {
      throw wrong(`its header ${name} has a value that is none`);
    }
  }
  return { status: Number(status), statusText, headers };
}

/** Creates the error for an answer that is not HTTP/1.1. */
export function wrong(why: string): BoxRunError {
  return new BoxRunError("PROTOCOL_ERROR", `the server's answer is not in order: ${why}`);
}

/** Creates the error for an answer that ends too early. */
export function cut(): BoxRunError {
  return new BoxRunError(
    "STREAM_INTERRUPTED",
    "the server closed the connection before its answer was complete",
    {
      retryable: true,
    },
  );
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.byteLength; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}
