import { type LookupAddress, lookup } from "node:dns";
import { connect, type Socket } from "node:net";
import { parseAddress } from "../../network/addresses.js";
import {
  type ByteConnection,
  CONNECT_MS,
  DialError,
  type DialErrorCode,
  type Dialer,
  type DialOptions,
  type DialTarget,
} from "../../network/dialer.js";
import { HOST_NAME } from "../../network/names.js";
import { whenAborted } from "../../util/abort.js";
import { startTimer } from "../../util/timer.js";
import { type Lookup, Lookups } from "./lookups.js";
import { connectionOf } from "./socket-connection-node.js";

/** Head start of an address before the next one is tried beside it (RFC 8305, "Happy Eyeballs"). */
const HEAD_START_MS = 250;
/** Failures by how much they say about the far side: of several addresses, the first of these is reported. */
const CODES: readonly DialErrorCode[] = [
  "ECONNREFUSED",
  "ECONNRESET",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EACCES",
];
/** Errors of a lookup that say that there is no such name, or that it has no address. */
const NO_SUCH_NAME = ["ENOTFOUND", "ENODATA", "EAI_NODATA", "EAI_NONAME"];

/** Lookups of all boxes of this process. */
const systemLookups = new Lookups(systemLookup);

/** Options of {@link nodeDialer}. */
export interface NodeDialerOptions {
  /** Finds the addresses of a name. @default as other programs of this machine do */
  lookup?: Lookup;
  /** Time limit of a connection that is being opened, in milliseconds. @default 30000 */
  connectMs?: number;
}

/** Makes real connections, in Node, Deno and Bun. They do not keep the process alive. Names are looked up by turns, which all dialers share. */
export function nodeDialer({ lookup, connectMs = CONNECT_MS }: NodeDialerOptions = {}): Dialer {
  const lookups = lookup ? new Lookups(lookup) : systemLookups;
  return {
    resolves: async (name, { signal }) => {
      try {
        return (await lookups.find(name, signal)).length > 0;
      } catch (error) {
        if (isNoSuchName(error)) return false;
        throw error;
      }
    },
    connect: (target, options) =>
      within(connectMs, options.signal, (life) => dial(lookups, target, options, life)),
  };
}

async function dial(
  lookups: Lookups,
  { host, port }: DialTarget,
  { mayReach = () => true }: DialOptions,
  life: AbortSignal,
): Promise<ByteConnection> {
  const found = await addressesOf(lookups, host, life);
  life.throwIfAborted();
  // The sockets are given addresses, so that nothing looks a name up a second time.
  const addresses = found.filter((address) => mayReach(address));
  if (found.length === 0) throw new DialError("EHOSTUNREACH", `${host} has no address`);
  if (addresses.length === 0)
    throw new DialError("EACCES", `${host} has no address that may be connected to`);
  const { socket, address } = await firstToOpen(addresses, port, life);
  return connectionOf(socket, address);
}

async function addressesOf(lookups: Lookups, host: string, life: AbortSignal): Promise<string[]> {
  if (parseAddress(host)) return [host];
  if (host === HOST_NAME) return ["127.0.0.1", "::1"];
  try {
    return await lookups.find(host, life);
  } catch (cause) {
    throw new DialError("EHOSTUNREACH", `${host} could not be looked up`, { cause });
  }
}

function systemLookup(name: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    lookup(name, { all: true }, (error: Error | null, found: LookupAddress[]) => {
      if (error) reject(error);
      else resolve(found.map(({ address }) => address));
    });
  });
}

function isNoSuchName(error: unknown): boolean {
  return NO_SUCH_NAME.includes(String((error as { code?: unknown }).code));
}

/** Runs work that has to end within a time, and when the caller gives it up. */
async function within<T>(
  ms: number,
  signal: AbortSignal,
  work: (life: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const life = new AbortController();
  const ignoreSignal = whenAborted(signal, (reason) => life.abort(reason));
  const stopTimer = startTimer(ms, () =>
    life.abort(new DialError("ETIMEDOUT", `the connection did not open within ${ms} ms`)),
  );
  const aborted = new Promise<never>((_, reject) => whenAborted(life.signal, reject));
  try {
    return await Promise.race([work(life.signal), aborted]);
  } finally {
    stopTimer();
    ignoreSignal();
  }
}

/** Connects to the first address that answers. Each has a head start before the next one, which begins at once when all before it have failed. */
function firstToOpen(
  addresses: readonly string[],
  port: number,
  life: AbortSignal,
): Promise<{ socket: Socket; address: string }> {
  return new Promise((resolve, reject) => {
    const pending = new Set<Socket>();
    const failures: DialError[] = [];
    let next = 0;
    let stopTimer = () => {};
    const stop = () => {
      stopTimer();
      ignoreLife();
      for (const socket of pending) socket.destroy();
      pending.clear();
    };
    const ignoreLife = whenAborted(life, (reason) => {
      stop();
      reject(reason);
    });
    const fail = (error: DialError) => {
      failures.push(error);
      if (next < addresses.length) return tryNext();
      if (pending.size > 0) return;
      stop();
      reject(mostTelling(failures));
    };
    const tryNext = () => {
      stopTimer();
      const address = addresses[next++]!;
      const attempt = open(address, port);
      pending.add(attempt.socket);
      if (next < addresses.length) stopTimer = startTimer(HEAD_START_MS, tryNext);
      attempt.opened.then(
        () => {
          if (!pending.delete(attempt.socket) || life.aborted) return attempt.socket.destroy();
          stop();
          resolve({ socket: attempt.socket, address });
        },
        (error) => pending.delete(attempt.socket) && fail(dialErrorOf(error)),
      );
    };
    tryNext();
  });
}

function open(address: string, port: number): { socket: Socket; opened: Promise<void> } {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  socket.setNoDelay(true);
  // A script that has nothing else to do ends, whatever its boxes have open.
  socket.unref();
  const opened = new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    // Kept: an error of a socket that nobody listens to would end the process.
    socket.on("error", reject);
    socket.once("close", () => reject(new Error("the socket was closed")));
  });
  return { socket, opened };
}

function mostTelling(failures: readonly DialError[]): DialError {
  const rank = ({ code }: DialError) => CODES.indexOf(code);
  return failures.reduce((best, one) => (rank(one) < rank(best) ? one : best));
}

/** Returns the error that a program in a box gets to see for one of a socket. */
function dialErrorOf(cause: unknown): DialError {
  const { code, name, message } = cause as { code?: unknown; name?: unknown; message?: unknown };
  const known = CODES.find((one) => one === code);
  // A firewall of the host, or Deno without permission. What is left is an address that this machine has no way to.
  const fallback = code === "EPERM" || name === "NotCapable" ? "EACCES" : "EHOSTUNREACH";
  return new DialError(known ?? fallback, String(message), { cause });
}
