/** Messages of DNS: one question in, one answer out. Source: RFC 1035. */
import { readUint16, writeUint16, writeUint32 } from "./ipv4.js";

/** Types of records that have answers here. All others exist, and are empty. */
export const RECORD = { a: 1, ptr: 12 } as const;
/** Codes of responses. */
export const RESPONSE = { formatError: 1, failure: 2, noSuchName: 3, notImplemented: 4 } as const;

const HEADER_BYTES = 12;
const QUERY_OR_RESPONSE = 0x8000;
const OPERATION = 0x7800;
const RECURSION_DESIRED = 0x0100;
/** This is a response, and recursion is available. */
const ANSWER_FLAGS = 0x8080;
const CLASS_INTERNET = 1;
const CLASS_ANY = 255;
const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 253;
const TTL_SECONDS = 60;
/** A pointer to the name in the question, by which answers name it. */
const NAME_OF_QUESTION = 0xc000 | HEADER_BYTES;
const LABEL = /^[a-z0-9_-]+$/;

/** A question. */
export interface DnsQuery {
  id: number;
  flags: number;
  /** In lower case, without a dot at its end. */
  name: string;
  type: number;
  /** The question as it was asked, which answers repeat. Empty if it cannot be read. */
  question: Uint8Array;
  /** Code of the response if the question cannot be answered. */
  refusal?: number;
}

/** Reads a question. Undefined for bytes that are none at all, which get no answer. */
export function readQuery(message: Uint8Array): DnsQuery | undefined {
  if (message.byteLength < HEADER_BYTES) return undefined;
  const flags = readUint16(message, 2);
  if (flags & QUERY_OR_RESPONSE) return undefined;
  const unread = { id: readUint16(message, 0), flags, name: "", type: 0, question: new Uint8Array(0) };
  if (flags & OPERATION) return { ...unread, refusal: RESPONSE.notImplemented };
  const read = readUint16(message, 4) === 1 ? readName(message, HEADER_BYTES) : undefined;
  if (!read || read.end + 4 > message.byteLength) return { ...unread, refusal: RESPONSE.formatError };
  const kind = readUint16(message, read.end + 2);
  const query = {
    ...unread,
    name: read.labels.join("."),
    type: readUint16(message, read.end),
    question: message.slice(HEADER_BYTES, read.end + 4),
  };
  if (kind !== CLASS_INTERNET && kind !== CLASS_ANY) return { ...query, refusal: RESPONSE.notImplemented };
  // No host has such a name, or none at all.
  const isHost = read.labels.length > 0 && read.labels.every((label) => LABEL.test(label));
  return isHost ? query : { ...query, refusal: RESPONSE.noSuchName };
}

/** Reads a name without pointers, which a question has no use for. */
function readName(message: Uint8Array, start: number): { labels: string[]; end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const bytes = message[at];
    if (bytes === undefined || bytes > MAX_LABEL_BYTES) return undefined;
    if (bytes === 0) return { labels, end: at + 1 };
    const label = message.subarray(at + 1, at + 1 + bytes);
    at += 1 + bytes;
    if (label.byteLength < bytes || at - start > MAX_NAME_BYTES + 1) return undefined;
    labels.push(String.fromCharCode(...label).toLowerCase());
  }
}

/** Makes the answer to a question: with an address, with a name, with neither if there is no such record, or with a code. */
export function makeAnswer(
  { id, flags, question }: DnsQuery,
  { response = 0, address, name }: { response?: number; address?: number; name?: string },
): Uint8Array {
  const data =
    address !== undefined ? addressBytes(address) : name !== undefined ? nameBytes(name) : undefined;
  const recordBytes = data ? 12 + data.byteLength : 0;
  const message = new Uint8Array(HEADER_BYTES + question.byteLength + recordBytes);
  writeUint16(message, 0, id);
  writeUint16(message, 2, ANSWER_FLAGS | (flags & (OPERATION | RECURSION_DESIRED)) | response);
  writeUint16(message, 4, question.byteLength > 0 ? 1 : 0);
  writeUint16(message, 6, data ? 1 : 0);
  message.set(question, HEADER_BYTES);
  if (!data) return message;
  const at = HEADER_BYTES + question.byteLength;
  writeUint16(message, at, NAME_OF_QUESTION);
  writeUint16(message, at + 2, address !== undefined ? RECORD.a : RECORD.ptr);
  writeUint16(message, at + 4, CLASS_INTERNET);
  writeUint32(message, at + 6, TTL_SECONDS);
  writeUint16(message, at + 10, data.byteLength);
  message.set(data, at + 12);
  return message;
}

function addressBytes(address: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, address);
  return bytes;
}

function nameBytes(name: string): Uint8Array {
  const labels = name.split(".").map((label) => [label.length, ...new TextEncoder().encode(label)]);
  return new Uint8Array([...labels.flat(), 0]);
}
