import type { Connection, PortInfo } from "../../backend/backend.js";
import { requirePort } from "../../backend/ports.js";
import type { Guest } from "../guest/guest.js";
import { connectInGuest } from "../guest/guest-connection.js";
import { getFile } from "../guest/guest-files.js";
import type { Hold } from "./process-hold.js";

/** Tables of the kernel with all sockets, a line of some 150 bytes each. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
/** Most that is read of a table: thousands of sockets. */
const MAX_TABLE_BYTES = 2 ** 20;
/** State of a socket that listens, as the tables have it. */
const LISTENS = "0A";
const LINE = /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /;

/** Connects to a server in a guest, as `BackendPorts.connect` documents it. */
export async function connectToPort(
  guest: Guest,
  hold: Hold,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  requirePort(port);
  return connectInGuest(guest, hold, port, signal);
}

/** Lists the ports on which servers listen in a guest. */
export async function listPorts(
  guest: Guest,
  hold: Hold,
  signal: AbortSignal | undefined,
): Promise<PortInfo[]> {
  const tables = await hold(() => Promise.all(TABLES.map((path) => readTable(guest, path, signal))));
  return portsOf(tables.join("\n"));
}

async function readTable(guest: Guest, path: string, signal: AbortSignal | undefined): Promise<string> {
  const { stream } = await getFile(guest, path, signal);
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (text.length < MAX_TABLE_BYTES) continue;
    await reader.cancel();
    return text;
  }
}

/** Reads the ports that listen out of the kernel's tables. */
export function portsOf(table: string): PortInfo[] {
  const found = new Map<number, Set<string>>();
  for (const line of table.split("\n")) {
    const [, address, port, state] = LINE.exec(line) ?? [];
    if (state !== LISTENS || !address || !port) continue;
    const number = Number.parseInt(port, 16);
    if (number === 0) continue;
    const addresses = found.get(number) ?? new Set();
    found.set(number, addresses.add(addressOf(address)));
  }
  return [...found]
    .sort(([one], [other]) => one - other)
    .map(([port, addresses]) => ({ port, addresses: [...addresses] }));
}

/** Writes an address as people do. The kernel prints it in words of 32 bits, whose bytes are in the order of the machine. */
function addressOf(hex: string): string {
  const bytes: number[] = [];
  for (let word = 0; word < hex.length; word += 8)
    for (let at = word + 6; at >= word; at -= 2) bytes.push(Number.parseInt(hex.slice(at, at + 2), 16));
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  // The longest run of zeros, of which there is one in addresses that servers listen on.
  return groups
    .join(":")
    .replace(/\b0(?::0)+\b/, ":")
    .replace(/^:$|:{3,}/, "::");
}
