import type { NetworkLogEntry } from "../contract/types.js";

/** Number of connections that a log keeps. */
const KEPT = 200;

/** The last connections of a box. Entries change while their connections live. */
export class NetworkLog {
  private readonly entries: NetworkLogEntry[] = [];

  /** Adds an entry, and forgets the oldest one when there are too many. */
  add(entry: NetworkLogEntry): NetworkLogEntry {
    this.entries.push(entry);
    if (this.entries.length > KEPT) this.entries.shift();
    return entry;
  }

  /** Returns a copy of the entries, oldest first. */
  list(): NetworkLogEntry[] {
    return this.entries.map((entry) => ({ ...entry }));
  }
}

/** Notes in an entry that its connection was denied, and why. */
export function noteDenied(entry: NetworkLogEntry, rule: string): void {
  Object.assign(entry, { verdict: "denied", rule, error: "EACCES", endedAt: new Date() });
}

/** Notes in an entry that its connection has ended, `error` being the errno with which it failed. */
export function noteEnded(entry: NetworkLogEntry, error?: string): void {
  Object.assign(entry, { endedAt: new Date(), ...(error !== undefined && { error }) });
}
