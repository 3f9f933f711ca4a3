/**
 * IPv4 packets, with UDP and ICMP in them. Everything that comes from a guest is untrusted: a reader gives undefined for what makes no sense, and the packet is dropped.
 *
 * Source: RFC 791 (IPv4), RFC 768 (UDP), RFC 792 and 1812 (ICMP).
 */

/** Addresses of the link between a guest and its host, as numbers. */
export const LINK = {
  guest: 0x0a00020f,
  prefix: 24,
  gateway: 0x0a000202,
  nameServer: 0x0a000203,
  /** Larger ones only cost memory: the guest posts a hundred buffers of this size. */
  mtu: 32_000,
} as const;

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17 } as const;

const IP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
const ICMP_HEADER_BYTES = 8;
/** Bytes of a packet behind its IP header that an ICMP error quotes. */
const QUOTED_BYTES = 8;
const TIME_TO_LIVE = 64;
const MORE_FRAGMENTS_OR_OFFSET = 0x3fff;
const DO_NOT_FRAGMENT = 0x4000;

const ECHO_REPLY = 0;
const DESTINATION_UNREACHABLE = 3;
const ECHO_REQUEST = 8;

/** Reasons why a packet cannot be delivered: codes of ICMP's "destination unreachable". */
export const UNREACHABLE = { network: 0, host: 1, port: 3, prohibited: 13 } as const;
export type Unreachable = (typeof UNREACHABLE)[keyof typeof UNREACHABLE];

/** An IPv4 packet. */
export interface Ipv4Packet {
  protocol: number;
  source: number;
  target: number;
  payload: Uint8Array;
  /** The whole packet. */
  bytes: Uint8Array;
}

/** A datagram of UDP. */
export interface UdpDatagram {
  sourcePort: number;
  targetPort: number;
  data: Uint8Array;
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((readUint16(bytes, at) << 16) | readUint16(bytes, at + 2)) >>> 0;
}

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  writeUint16(bytes, at, value >>> 16);
  writeUint16(bytes, at + 2, value & 0xffff);
}

/** Reads a packet. Fragments count as nonsense: the guest's kernel makes none on a link of this size. */
export function readIpv4(bytes: Uint8Array): Ipv4Packet | undefined {
  if (bytes.byteLength < IP_HEADER_BYTES || bytes[0]! >> 4 !== 4) return undefined;
  const headerBytes = (bytes[0]! & 15) * 4;
  const totalBytes = readUint16(bytes, 2);
  if (headerBytes < IP_HEADER_BYTES || totalBytes < headerBytes || totalBytes > bytes.byteLength)
    return undefined;
  if (readUint16(bytes, 6) & MORE_FRAGMENTS_OR_OFFSET) return undefined;
  return {
    protocol: bytes[9]!,
    source: readUint32(bytes, 12),
    target: readUint32(bytes, 16),
    payload: bytes.subarray(headerBytes, totalBytes),
    bytes: bytes.subarray(0, totalBytes),
  };
}

/** Makes a packet with room for `payloadBytes`, and returns it with the part that the payload goes to. */
export function makeIpv4(
  protocol: number,
  source: number,
  target: number,
  payloadBytes: number,
): { packet: Uint8Array; payload: Uint8Array } {
  const packet = new Uint8Array(IP_HEADER_BYTES + payloadBytes);
  packet[0] = 0x45;
  writeUint16(packet, 2, packet.byteLength);
  writeUint16(packet, 6, DO_NOT_FRAGMENT);
  packet[8] = TIME_TO_LIVE;
  packet[9] = protocol;
  writeUint32(packet, 12, source);
  writeUint32(packet, 16, target);
  writeUint16(packet, 10, checksum(packet.subarray(0, IP_HEADER_BYTES)));
  return { packet, payload: packet.subarray(IP_HEADER_BYTES) };
}

export function readUdp(payload: Uint8Array): UdpDatagram | undefined {
  if (payload.byteLength < UDP_HEADER_BYTES) return undefined;
  const length = readUint16(payload, 4);
  if (length < UDP_HEADER_BYTES || length > payload.byteLength) return undefined;
  return {
    sourcePort: readUint16(payload, 0),
    targetPort: readUint16(payload, 2),
    data: payload.subarray(UDP_HEADER_BYTES, length),
  };
}

/** Makes a datagram without a checksum, which IPv4 allows: the link loses and changes nothing. */
export function makeUdp(
  source: number,
  sourcePort: number,
  target: number,
  targetPort: number,
  data: Uint8Array,
): Uint8Array {
  const length = UDP_HEADER_BYTES + data.byteLength;
  const { packet, payload } = makeIpv4(PROTOCOL.udp, source, target, length);
  writeUint16(payload, 0, sourcePort);
  writeUint16(payload, 2, targetPort);
  writeUint16(payload, 4, length);
  payload.set(data, UDP_HEADER_BYTES);
  return packet;
}

/** Makes the ICMP error by which the guest learns why its packet was not delivered. */
export function makeUnreachable(undelivered: Ipv4Packet, why: Unreachable): Uint8Array {
  const headerBytes = undelivered.bytes.byteLength - undelivered.payload.byteLength;
  const quoted = undelivered.bytes.subarray(0, headerBytes + QUOTED_BYTES);
  const { packet, payload } = makeIpv4(
    PROTOCOL.icmp,
    LINK.gateway,
    undelivered.source,
    ICMP_HEADER_BYTES + quoted.byteLength,
  );
  payload[0] = DESTINATION_UNREACHABLE;
  payload[1] = why;
  payload.set(quoted, ICMP_HEADER_BYTES);
  writeUint16(payload, 2, checksum(payload));
  return packet;
}

/** Whether a packet is a ping, which {@link makeEchoReply} answers. */
export function isEchoRequest({ protocol, payload }: Ipv4Packet): boolean {
  return protocol === PROTOCOL.icmp && payload.byteLength >= ICMP_HEADER_BYTES && payload[0] === ECHO_REQUEST;
}

export function makeEchoReply(request: Ipv4Packet): Uint8Array {
  const { source, target, payload: asked } = request;
  const { packet, payload } = makeIpv4(PROTOCOL.icmp, target, source, asked.byteLength);
  payload.set(asked);
  payload[0] = ECHO_REPLY;
  writeUint16(payload, 2, 0);
  writeUint16(payload, 2, checksum(payload));
  return packet;
}

/** Writes an address as people do. */
export function formatAddress(address: number): string {
  return [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].join(".");
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.byteLength; at += 2) sum += readUint16(bytes, at);
  if (bytes.byteLength % 2 === 1) sum += bytes[bytes.byteLength - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
