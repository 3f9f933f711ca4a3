/** An IPv4 or IPv6 address. IPv4 in its IPv6 form, ::ffff:192.0.2.1, is IPv4. */
export interface Address {
  /** Number of its bits: 32 for IPv4, 128 for IPv6. */
  readonly width: 32 | 128;
  /** Address as a number. */
  readonly value: bigint;
}

/** All addresses that begin with the same bits. */
export interface AddressBlock extends Address {
  /** Number of the bits that they share. */
  readonly prefix: number;
}

/** A part of an IPv4 address. A leading zero would make it octal for some programs. */
const BYTE = "(?:0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])";
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
const GROUP = /^[0-9a-fA-F]{1,4}$/;
const GROUPS = 8;
/** IPv6 addresses that stand for an IPv4 one: ::ffff:0:0/96. */
const MAPPED = 0xffffn;
const MAPPED_PREFIX = 96;

/**
 * Parses an address: four decimal numbers with dots, or any of the texts for an IPv6 address. Undefined for all else, zones ("fe80::1%eth0") and the further
 * forms that programs accept ("127.1", "0x7f000001") among it.
 */
export function parseAddress(text: string): Address | undefined {
  const value = IPV4.test(text) ? ipv4Value(text) : undefined;
  if (value !== undefined) return { width: 32, value };
  const long = ipv6Value(text);
  if (long === undefined) return undefined;
  return long >> 32n === MAPPED ? { width: 32, value: low32(long) } : { width: 128, value: long };
}

/** Parses a block of addresses: "10.0.0.0/8", or a single address. Undefined for what is none. Bits after the prefix are kept: {@link firstOf} has none. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [, host = "", length] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const address = parseAddress(host);
  if (!address) return undefined;
  const isMapped = address.width === 32 && host.includes(":");
  const written = length === undefined ? undefined : Number(length) - (isMapped ? MAPPED_PREFIX : 0);
  const prefix = written ?? address.width;
  return prefix >= 0 && prefix <= address.width ? { ...address, prefix } : undefined;
}

/** Returns a block's first address. */
export function firstOf({ width, value, prefix }: AddressBlock): Address {
  const rest = BigInt(width - prefix);
  return { width, value: (value >> rest) << rest };
}

/** Writes an address: "192.0.2.1", or IPv6 in eight groups. */
export function addressText({ width, value }: Address): string {
  const [size, bits] = width === 32 ? [4, 8n] : [GROUPS, 16n];
  const parts = Array.from(
    { length: size },
    (_, i) => (value >> (BigInt(size - 1 - i) * bits)) & ((1n << bits) - 1n),
  );
  return width === 32 ? parts.join(".") : parts.map((part) => part.toString(16)).join(":");
}

/** Returns true when all of a block, or an address, is in another block. */
export function isWithin(inner: Address | AddressBlock, block: AddressBlock): boolean {
  if (inner.width !== block.width) return false;
  if ("prefix" in inner && inner.prefix < block.prefix) return false;
  const rest = BigInt(block.width - block.prefix);
  return inner.value >> rest === block.value >> rest;
}

const blocks = (...texts: string[]) => texts.map((text) => parseBlock(text)!);

/** Addresses that only mean something to the host and its own networks, or to nobody (IANA's registries of special-purpose addresses). */
const NOT_PUBLIC = blocks(
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"],
  // The last is where Azure's machines reach their platform.
  ...["192.0.0.0/24", "168.63.129.16/32", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"],
  // ::/96 has "no address", the loopback, and IPv4 in a form of old; 2001::/32 (Teredo) hides an IPv4 address.
  ...["::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"],
);

/** Blocks of IPv6 whose addresses lead to an IPv4 one, and the number of bits after that one: translated (RFC 6052), and 6to4 (RFC 3056). */
const CARRIERS = [
  { block: parseBlock("64:ff9b::/96")!, after: 0n },
  { block: parseBlock("2002::/16")!, after: 80n },
];

/** Loopback addresses of the host. */
export const LOOPBACK = blocks("127.0.0.0/8", "::1");

/** Returns the addresses that one leads to: itself, and the IPv4 address in it. */
export function formsOf(address: Address): Address[] {
  if (address.width === 32) return [address];
  const carrier = CARRIERS.find(({ block }) => isWithin(address, block));
  return carrier ? [address, { width: 32, value: low32(address.value >> carrier.after) }] : [address];
}

/** Returns true for an address of the internet, and false for one of the host, its own networks, or nobody. */
export function isPublic(address: Address): boolean {
  return !formsOf(address).some((form) => isLocal(form));
}

/** Returns true for an address or a whole block in one of the ranges that are not public. */
export function isLocal(block: Address | AddressBlock): boolean {
  return NOT_PUBLIC.some((range) => isWithin(block, range));
}

function ipv4Value(text: string): bigint {
  return text.split(".").reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function ipv6Value(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = [groupsOf(halves[0]!, halves.length === 1), groupsOf(halves[1] ?? "", true)];
  if (!head || !tail) return undefined;
  const missing = GROUPS - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array<bigint>(missing).fill(0n), ...tail];
  return all.reduce((sum, group) => (sum << 16n) | group, 0n);
}

/** Returns the groups of one side of "::". The last side may end in an IPv4 address. */
function groupsOf(text: string, isLast: boolean): bigint[] | undefined {
  if (text === "") return [];
  const groups: bigint[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (GROUP.test(part)) groups.push(BigInt(`0x${part}`));
    else if (isLast && i === parts.length - 1 && IPV4.test(part)) {
      const value = ipv4Value(part);
      groups.push(value >> 16n, value & 0xffffn);
    } else return undefined;
  }
  return groups;
}

function low32(value: bigint): bigint {
  return value & 0xffff_ffffn;
}
