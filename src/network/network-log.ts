import type { NetworkFailure, NetworkLogEntry } from "../contract/types.js";
import { LoggedError } from "./dialer.js";

/** Number of entries that a log keeps. */
const KEPT = 200;
/** Number of those among them that may be lookups of names, which a box can make by the thousand. */
const KEPT_LOOKUPS = 50;
const MAX_MESSAGE = 400;

/** The last connections of a box. Entries change while their connections live. */
export class NetworkLog {
  private entries: NetworkLogEntry[] = [];

  /** Adds an entry, and forgets the oldest one when there are too many. */
  add(entry: NetworkLogEntry): NetworkLogEntry {
    this.entries.push(entry);
    if (this.entries.length > KEPT) this.entries.shift();
    return entry;
  }

  /** Adds a lookup that has failed, in place of an earlier one of the name: programs ask several times. */
  addLookup(host: string, failure: Failure): void {
    const now = new Date();
    this.entries = this.entries.filter((entry) => entry.port !== 0 || entry.host !== host);
    const lookups = this.entries.filter(({ port }) => port === 0);
    if (lookups.length >= KEPT_LOOKUPS) this.entries.splice(this.entries.indexOf(lookups[0]!), 1);
    this.add({
      ...{ at: now, host, port: 0, verdict: "allowed" },
      ...failure,
      ...{ sentBytes: 0, receivedBytes: 0, endedAt: now },
    });
  }

  /** Returns a copy of the entries, oldest first. */
  list(): NetworkLogEntry[] {
    return this.entries.map((entry) => ({ ...entry }));
  }
}

/** Description of a failure in a log. */
export interface Failure {
  error: string;
  reason?: NetworkFailure;
  message?: string;
}

/** Describes the error of a dialer. One without a code is a fault of the dialer, which its message explains; `errno` is what the box sees of it. */
export function failureOf(error: unknown, errno = "ECONNRESET"): Failure {
  const code = errnoOf(error);
  if (error instanceof LoggedError)
    return { error: error.code, reason: error.reason, message: messageOf(error) };
  return code === undefined
    ? { error: errno, reason: "dialer failed", message: messageOf(error) }
    : { error: code };
}

/** Returns the errno that an error names. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null | undefined)?.message;
  const text =
    typeof message === "string" ? message : typeof error === "string" ? error : `it threw ${typeof error}`;
  return text.slice(0, MAX_MESSAGE);
}

/** Notes in an entry that its connection was denied, and why. */
export function noteDenied(entry: NetworkLogEntry, rule: string): void {
  Object.assign(entry, { verdict: "denied", rule, error: "EACCES", endedAt: new Date() });
}

/** Notes in an entry why the last request over its connection was refused, or that it was not. The connection goes on; one that has failed keeps the cause of that. */
export function noteRefusal(entry: NetworkLogEntry, message: string | undefined): void {
  if (entry.error !== undefined) return;
  if (message === undefined) forgetReason(entry);
  else Object.assign(entry, { reason: "refused", message: messageOf(message) });
}

/** Notes in an entry that its connection has ended, with a failure or without one. */
export function noteEnded(entry: NetworkLogEntry, failure?: Failure): void {
  // A reset has no reason of its own, and may be the program's answer to a refusal.
  if (failure?.reason !== undefined || entry.rule !== undefined) forgetReason(entry);
  Object.assign(entry, { endedAt: new Date(), ...failure });
}

function forgetReason(entry: NetworkLogEntry): void {
  delete entry.reason;
  delete entry.message;
}
