/**
 * Packets of Wisp, version 1: TCP connections over one WebSocket (github.com/MercuryWorkshop/wisp-protocol). Each is one binary message: a type, the number of a stream, and what
 * belongs to the type, all little-endian.
 *
 * Wisp has no flow control from the relay to its client, and no end of one direction alone. Two programs of this project have both: the relay says so in an INFO after its first
 * CONTINUE, which others ignore. A client that knows it answers with an INFO of the same content. From then on the relay sends no more than the client has granted, in bytes: for
 * each stream as many as the client's INFO says, and then what each CONTINUE of the client adds. An empty DATA is the end of its direction, and a stream whose two directions have
 * ended is over. The relay also answers each CONNECT that succeeds by a CONTINUE, and by that alone.
 */
import type { DialErrorCode } from "./dialer.js";

/** Types of packets. */
const CONNECT = 1;
const DATA = 2;
const CONTINUE = 3;
const CLOSE = 4;
const INFO = 5;
const HEAD_BYTES = 5;
const TCP = 1;
/** Version of the protocol that an INFO names: this one, so that clients of version 2 stay with it. */
const VERSION = [1, 0] as const;
/** Number of our extension in an INFO, and the name by which it is known from others with this number. */
const EXTENSION = 0xb0;
const EXTENSION_NAME = "boxrun";
/** Longest name of a host. */
const MAX_HOST_BYTES = 253;

/** Reasons of a CLOSE. */
export const REASON = {
  /** End of a stream as its sides want it. */
  voluntary: 0x02,
  /** Failure of the connection; also from a client that resets it. */
  network: 0x03,
  invalid: 0x41,
  unreachable: 0x42,
  timeout: 0x43,
  refused: 0x44,
  idle: 0x47,
  blocked: 0x48,
  throttled: 0x49,
  /** A client that can receive no more. */
  client: 0x81,
} as const;

/** A packet that has been read. */
export type WispPacket =
  | { type: "connect"; stream: number; isTcp: boolean; host: string; port: number }
  | { type: "data"; stream: number; bytes: Uint8Array }
  | { type: "continue"; stream: number; count: number }
  | { type: "close"; stream: number; reason: number }
  /** `windowBytes`: of our extension; undefined without it. */
  | { type: "info"; stream: number; windowBytes: number | undefined }
  | { type: "unknown"; stream: number };

/** Reads a packet. The bytes of data are those of the message, not a copy. @throws {Error} when it is shorter than its type needs */
export function readPacket(message: Uint8Array): WispPacket {
  if (message.byteLength < HEAD_BYTES) throw new Error("a packet without a head");
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const stream = view.getUint32(1, true);
  const rest = message.subarray(HEAD_BYTES);
  const need = (bytes: number) => {
    if (rest.byteLength < bytes) throw new Error(`a packet of type ${message[0]} that is too short`);
  };
  switch (message[0]) {
    case CONNECT:
      need(4);
      if (rest.byteLength > 3 + MAX_HOST_BYTES) throw new Error("a name that is too long");
      return {
        ...{ type: "connect", stream, isTcp: rest[0] === TCP, port: view.getUint16(HEAD_BYTES + 1, true) },
        host: new TextDecoder().decode(rest.subarray(3)),
      };
    case DATA:
      return { type: "data", stream, bytes: rest };
    case CONTINUE:
      need(4);
      return { type: "continue", stream, count: view.getUint32(HEAD_BYTES, true) };
    case CLOSE:
      need(1);
      return { type: "close", stream, reason: rest[0]! };
    case INFO:
      need(2);
      return { type: "info", stream, windowBytes: windowOf(rest.subarray(2)) };
    default:
      return { type: "unknown", stream };
  }
}

/** Writes a CONNECT of TCP. */
export function connectPacket(stream: number, host: string, port: number): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(host);
  const packet = begin(CONNECT, stream, 3 + name.byteLength);
  packet[HEAD_BYTES] = TCP;
  new DataView(packet.buffer).setUint16(HEAD_BYTES + 1, port, true);
  packet.set(name, HEAD_BYTES + 3);
  return packet;
}

/** Writes a DATA. */
export function dataPacket(stream: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const packet = begin(DATA, stream, bytes.byteLength);
  packet.set(bytes, HEAD_BYTES);
  return packet;
}

/** Writes a CONTINUE: the packets that a relay has room for, or the bytes that a client grants in addition. */
export function continuePacket(stream: number, count: number): Uint8Array<ArrayBuffer> {
  const packet = begin(CONTINUE, stream, 4);
  new DataView(packet.buffer).setUint32(HEAD_BYTES, count, true);
  return packet;
}

/** Writes a CLOSE. */
export function closePacket(stream: number, reason: number): Uint8Array<ArrayBuffer> {
  const packet = begin(CLOSE, stream, 1);
  packet[HEAD_BYTES] = reason;
  return packet;
}

/** Writes an INFO with our extension: the bytes that a client grants each new stream; a relay sends 0. */
export function infoPacket(windowBytes: number): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(EXTENSION_NAME);
  const length = name.byteLength + 4;
  const packet = begin(INFO, 0, 2 + 5 + length);
  const view = new DataView(packet.buffer);
  packet.set([...VERSION, EXTENSION], HEAD_BYTES);
  view.setUint32(HEAD_BYTES + 3, length, true);
  packet.set(name, HEAD_BYTES + 7);
  view.setUint32(HEAD_BYTES + 7 + name.byteLength, windowBytes, true);
  return packet;
}

/** Returns the reason by which a relay refuses a connection that failed with this error. */
export function reasonOf(code: unknown): number {
  return REASONS.find(([, one]) => one === code)?.[0] ?? REASON.network;
}

/** Returns the error of a connection that a relay refused. Relays that give no reason of their own mostly mean a server that refused. */
export function errorOf(reason: number): DialErrorCode {
  return REASONS.find(([one]) => one === reason)?.[1] ?? "ECONNREFUSED";
}

/** Returns a reason in words. */
export function describeReason(reason: number): string {
  return WORDS[reason] ?? `reason 0x${reason.toString(16).padStart(2, "0")}`;
}

const WORDS: Readonly<Record<number, string>> = {
  [REASON.network]: "a failure of the network",
  [REASON.invalid]: "an address that it does not take",
  [REASON.unreachable]: "host unreachable",
  [REASON.timeout]: "no answer in time",
  [REASON.refused]: "connection refused",
  [REASON.idle]: "no data for too long",
  [REASON.blocked]: "its rules deny it",
  [REASON.throttled]: "too many connections, or too much data",
};

/** Reasons with their errors, the usual one of each first. */
const REASONS: readonly (readonly [reason: number, error: DialErrorCode])[] = [
  [REASON.refused, "ECONNREFUSED"],
  [REASON.unreachable, "EHOSTUNREACH"],
  [REASON.unreachable, "ENETUNREACH"],
  [REASON.timeout, "ETIMEDOUT"],
  [REASON.idle, "ETIMEDOUT"],
  [REASON.blocked, "EACCES"],
  [REASON.invalid, "EACCES"],
  [REASON.throttled, "EHOSTUNREACH"],
];

function begin(type: number, stream: number, bytes: number): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(HEAD_BYTES + bytes);
  packet[0] = type;
  new DataView(packet.buffer).setUint32(1, stream, true);
  return packet;
}

/** Finds our extension among those of an INFO, each of which has a number, a length and its content. */
function windowOf(extensions: Uint8Array): number | undefined {
  const view = new DataView(extensions.buffer, extensions.byteOffset, extensions.byteLength);
  for (let at = 0; at + 5 <= extensions.byteLength; ) {
    const length = view.getUint32(at + 1, true);
    const content = extensions.subarray(at + 5, at + 5 + length);
    const name = new TextDecoder().decode(content.subarray(0, EXTENSION_NAME.length));
    if (extensions[at] === EXTENSION && name === EXTENSION_NAME && length === EXTENSION_NAME.length + 4)
      return content.byteLength === length ? view.getUint32(at + 5 + EXTENSION_NAME.length, true) : undefined;
    at += 5 + length;
  }
  return undefined;
}
