/** The first message of a client. Source: RFC 8446, 4.1.2 and 4.2; RFC 6066, 3; RFC 7301. */
import { SUITES, type Suite } from "./keys.js";
import { ALERT, Cursor, TlsError } from "./wire.js";

export const EXTENSION = {
  serverName: 0,
  groups: 10,
  signatures: 13,
  protocols: 16,
  versions: 43,
  keyShares: 51,
} as const;
/** Groups for agreeing on a secret, the preferred first: X25519 is twice as fast as P-256 in a guest. */
export const GROUPS = [0x001d, 0x0017] as const;
export type Group = (typeof GROUPS)[number];
/** ECDSA with P-256 and SHA-256. */
export const SIGNATURE = 0x0403;
export const TLS_1_3 = 0x0304;

const HOST_NAME = 0;
const HOST = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/** Fields of a client's hello that are used here. */
export interface ClientHello {
  sessionId: Uint8Array;
  suite: Suite;
  /** In lower case. */
  serverName: string | undefined;
  protocols: string[];
  groups: number[];
  shares: Map<number, Uint8Array>;
}

/** @throws {TlsError} when it makes no sense, or asks for what is not here */
export function readClientHello(body: Uint8Array): ClientHello {
  const cursor = new Cursor(body);
  cursor.number(2);
  cursor.take(32);
  const sessionId = cursor.vector(1);
  const suites = numbers(cursor.vector(2));
  cursor.vector(1);
  const extensions = readExtensions(cursor);
  const versions = extensions.get(EXTENSION.versions);
  if (!versions || !numbers(new Cursor(versions).vector(1)).includes(TLS_1_3))
    throw new TlsError(ALERT.protocolVersion, "the client does not speak TLS 1.3");
  const suite = SUITES.find(({ id }) => suites.includes(id));
  if (!suite) throw new TlsError(ALERT.handshakeFailure, "no cipher suite fits");
  const [groups, signatures, shares] = [EXTENSION.groups, EXTENSION.signatures, EXTENSION.keyShares].map(
    (id) => extensions.get(id),
  );
  if (!groups || !signatures || !shares)
    throw new TlsError(ALERT.missingExtension, "an extension of TLS 1.3 is missing");
  if (!numbers(new Cursor(signatures).vector(2)).includes(SIGNATURE))
    throw new TlsError(ALERT.handshakeFailure, "no signature fits");
  return {
    sessionId,
    suite,
    serverName: readServerName(extensions.get(EXTENSION.serverName)),
    protocols: readProtocols(extensions.get(EXTENSION.protocols)),
    groups: numbers(new Cursor(groups).vector(2)),
    shares: readShares(new Cursor(shares).vector(2)),
  };
}

function readExtensions(cursor: Cursor): Map<number, Uint8Array> {
  const extensions = new Map<number, Uint8Array>();
  if (cursor.isAtEnd) return extensions;
  const list = new Cursor(cursor.vector(2));
  if (!cursor.isAtEnd) throw new TlsError(ALERT.decodeError, "bytes follow the message");
  while (!list.isAtEnd) {
    const id = list.number(2);
    if (extensions.has(id)) throw new TlsError(ALERT.illegalParameter, "an extension comes twice");
    extensions.set(id, list.vector(2));
  }
  return extensions;
}

function readServerName(extension: Uint8Array | undefined): string | undefined {
  if (!extension) return undefined;
  const list = new Cursor(new Cursor(extension).vector(2));
  while (!list.isAtEnd) {
    const kind = list.number(1);
    const name = String.fromCharCode(...list.vector(2).subarray(0, 256)).toLowerCase();
    if (kind !== HOST_NAME) continue;
    if (!HOST.test(name)) throw new TlsError(ALERT.illegalParameter, "the server name is invalid");
    return name;
  }
  return undefined;
}

function readProtocols(extension: Uint8Array | undefined): string[] {
  const protocols: string[] = [];
  if (!extension) return protocols;
  const list = new Cursor(new Cursor(extension).vector(2));
  while (!list.isAtEnd) protocols.push(String.fromCharCode(...list.vector(1)));
  return protocols;
}

function readShares(bytes: Uint8Array): Map<number, Uint8Array> {
  const shares = new Map<number, Uint8Array>();
  const list = new Cursor(bytes);
  while (!list.isAtEnd) shares.set(list.number(2), list.vector(2));
  return shares;
}

function numbers(bytes: Uint8Array): number[] {
  const cursor = new Cursor(bytes);
  const all: number[] = [];
  while (!cursor.isAtEnd) all.push(cursor.number(2));
  return all;
}
