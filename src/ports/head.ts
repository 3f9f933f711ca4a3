import { BoxRunError } from "../backend/errors.js";
import { ByteReader } from "../util/byte-reader.js";
import { headerOf } from "../util/http-syntax.js";

/** Longest head of an answer that is read, in bytes. */
const MAX_HEAD_BYTES = 128 * 1024;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/;

/** Start of an answer: status and headers. */
export interface Head {
  status: number;
  statusText: string;
  headers: Headers;
}

/** Reads the bytes of a server in a box. */
export function readerOf(stream: ReadableStream<Uint8Array>): ByteReader {
  return new ByteReader(stream, {
    tooLong: () => wrong("a line of it, or its whole head, is longer than anybody needs"),
    cut,
  });
}

/**
 * Reads the head of an answer, those with a status of 1xx but 101 skipped. All of them together are bounded, so that a server cannot send them for ever.
 *
 * @throws {BoxRunError} PROTOCOL_ERROR when it is not HTTP/1.1, and STREAM_INTERRUPTED when it breaks off
 */
export async function readHead(reader: ByteReader): Promise<Head> {
  let left = MAX_HEAD_BYTES;
  const next = async () => {
    const line = await reader.line(Math.max(0, left));
    if (line === undefined) throw cut();
    left -= line.length + 2;
    return line;
  };
  for (;;) {
    const head = await readOne(next);
    if (head.status >= 200 || head.status === 101) return head;
  }
}

async function readOne(next: () => Promise<string>): Promise<Head> {
  const [, status, statusText = ""] = STATUS_LINE.exec(await next()) ?? [];
  if (status === undefined) throw wrong("it does not begin with an HTTP/1.1 status line");
  const headers = new Headers();
  for (let line = await next(); line !== ""; line = await next()) {
    const header = headerOf(line);
    if (!header) throw wrong("it has a malformed header");
    try {
      headers.append(header.name, header.value);
    } catch {
      throw wrong(`its header ${header.name} has a value that is none`);
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
