/** Segments of TCP, as they are in IPv4 packets. Source: RFC 9293, and RFC 7323 for the scale of windows. */
import { makeIpv4, PROTOCOL, readUint16, readUint32, writeUint16, writeUint32 } from "./ipv4.js";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

const HEADER_BYTES = 20;
const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const MAX_SEGMENT_SIZE = 2;
const MAX_SEGMENT_SIZE_BYTES = 4;
const WINDOW_SCALE = 3;
const WINDOW_SCALE_BYTES = 3;
/** Options of a SYN: both of the above, filled up to words. */
const SYN_OPTION_BYTES = 8;

/** Sequence numbers count bytes modulo 2^32. */
export type Sequence = number;

/** Distance from `from` to `to`; negative if `to` comes before. */
export function distance(from: Sequence, to: Sequence): number {
  return (to - from) | 0;
}

export function advance(from: Sequence, bytes: number): Sequence {
  return (from + bytes) >>> 0;
}

/** The two ends of a connection, seen from the guest: the target is what its program connects to. */
export interface Ends {
  source: number;
  sourcePort: number;
  target: number;
  targetPort: number;
}

/** A segment from a guest. */
export interface TcpSegment {
  sourcePort: number;
  targetPort: number;
  sequence: Sequence;
  acknowledged: Sequence;
  flags: number;
  /** Room for data from us, in units that the SYN named. */
  window: number;
  data: Uint8Array;
  /** Options of a SYN. Undefined where it has none. */
  maxSegmentBytes?: number;
  windowScale?: number;
}

export function readTcp(payload: Uint8Array): TcpSegment | undefined {
  if (payload.byteLength < HEADER_BYTES) return undefined;
  const headerBytes = (payload[12]! >> 4) * 4;
  if (headerBytes < HEADER_BYTES || headerBytes > payload.byteLength) return undefined;
  const flags = payload[13]!;
  return {
    sourcePort: readUint16(payload, 0),
    targetPort: readUint16(payload, 2),
    sequence: readUint32(payload, 4),
    acknowledged: readUint32(payload, 8),
    flags,
    window: readUint16(payload, 14),
    data: payload.subarray(headerBytes),
    ...(flags & SYN && readOptions(payload.subarray(HEADER_BYTES, headerBytes))),
  };
}

function readOptions(options: Uint8Array): Pick<TcpSegment, "maxSegmentBytes" | "windowScale"> {
  const found: Pick<TcpSegment, "maxSegmentBytes" | "windowScale"> = {};
  for (let at = 0; at < options.byteLength; ) {
    const kind = options[at]!;
    if (kind === END_OF_OPTIONS) break;
    if (kind === NO_OPERATION) {
      at++;
      continue;
    }
    const bytes = options[at + 1] ?? 0;
    if (bytes < 2 || at + bytes > options.byteLength) break;
    if (kind === MAX_SEGMENT_SIZE && bytes === MAX_SEGMENT_SIZE_BYTES)
      found.maxSegmentBytes = readUint16(options, at + 2);
    if (kind === WINDOW_SCALE && bytes === WINDOW_SCALE_BYTES) found.windowScale = options[at + 2]!;
    at += bytes;
  }
  return found;
}

/** Fields of a segment to a guest. */
export interface SegmentFields {
  sequence: Sequence;
  acknowledged: Sequence;
  flags: number;
  window: number;
  /** Options of a SYN. */
  options?: { maxSegmentBytes: number; windowScale: number | undefined };
}

/**
 * Makes the packet of a segment to the guest, and returns it with the part that the data goes to. It has no checksum of TCP: the network device tells the guest that it was checked.
 */
export function makeTcp(
  ends: Ends,
  fields: SegmentFields,
  dataBytes = 0,
): { packet: Uint8Array; data: Uint8Array } {
  const headerBytes = HEADER_BYTES + (fields.options ? SYN_OPTION_BYTES : 0);
  const { packet, payload } = makeIpv4(PROTOCOL.tcp, ends.target, ends.source, headerBytes + dataBytes);
  writeUint16(payload, 0, ends.targetPort);
  writeUint16(payload, 2, ends.sourcePort);
  writeUint32(payload, 4, fields.sequence);
  writeUint32(payload, 8, fields.acknowledged);
  payload[12] = (headerBytes / 4) << 4;
  payload[13] = fields.flags;
  writeUint16(payload, 14, fields.window);
  if (fields.options) writeOptions(payload.subarray(HEADER_BYTES), fields.options);
  return { packet, data: payload.subarray(headerBytes) };
}

function writeOptions(
  at: Uint8Array,
  { maxSegmentBytes, windowScale }: NonNullable<SegmentFields["options"]>,
): void {
  at[0] = MAX_SEGMENT_SIZE;
  at[1] = MAX_SEGMENT_SIZE_BYTES;
  writeUint16(at, 2, maxSegmentBytes);
  at.fill(NO_OPERATION, 4, SYN_OPTION_BYTES);
  if (windowScale === undefined) return;
  at[4] = WINDOW_SCALE;
  at[5] = WINDOW_SCALE_BYTES;
  at[6] = windowScale;
}
