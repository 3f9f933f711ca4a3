import { shown } from "../backend/validate.js";
import type { NetworkLogEntry, NetworkOptions } from "../contract/types.js";
import { ConnectionCounter, type ConnectionLimits, LIMITS } from "./connection-limits.js";
import { type ByteConnection, DialError, type Dialer, type DialOptions, type DialTarget } from "./dialer.js";
import { HOST_NAME, isName } from "./names.js";
import { errnoOf, failureOf, NetworkLog, noteDenied, noteEnded, noteRefusal } from "./network-log.js";
import { NetworkPolicy, type Verdict } from "./policy.js";
import { TrackedConnection } from "./tracked-connection.js";

/** Number of names that may be asked for at once. */
const MAX_LOOKUPS = 64;

/** Options of {@link PolicyDialer}. */
export interface PolicyDialerOptions {
  /** Rules of whoever runs the box, which its own cannot exceed. @default none */
  bounds?: NetworkOptions | undefined;
  /** Limits of the connections. @default those of a box */
  limits?: ConnectionLimits;
  /** Finds the way to a neighbor: another box of the same LAN, which needs no rule. Undefined for every other name. @default no neighbors */
  neighbor?: (host: string) => Dialer | undefined;
}

interface Open {
  target: DialTarget;
  connection: TrackedConnection;
  entry: NetworkLogEntry;
  /** Addresses that may be the one that was dialed. */
  addresses: readonly string[];
}

/** A dialer that puts rules before another one, and keeps a log. What is not allowed never reaches that one. */
export class PolicyDialer implements Dialer {
  private readonly bounds: NetworkPolicy | undefined;
  private policy: NetworkPolicy;
  private readonly journal = new NetworkLog();
  private readonly counter: ConnectionCounter;
  private readonly open = new Set<Open>();
  private readonly neighbor: (host: string) => Dialer | undefined;
  private lookups = 0;

  /** Creates a dialer for a box with these rules. @throws {BoxRunError} VALIDATION_ERROR when a rule makes no sense */
  constructor(
    private readonly driver: Dialer,
    network: true | NetworkOptions,
    { bounds, limits = LIMITS, neighbor = () => undefined }: PolicyDialerOptions = {},
  ) {
    this.policy = new NetworkPolicy(network);
    this.bounds = bounds && new NetworkPolicy(bounds, "the server's ");
    this.counter = new ConnectionCounter(limits);
    this.neighbor = neighbor;
  }

  /** Says whether a name exists. One that no connection may be made to is not asked for, and exists: a connection to it is denied. */
  async resolves(name: string, options: { signal: AbortSignal }): Promise<boolean> {
    if (this.neighbor(name)) return true;
    if (!isName(name)) return false;
    const mayLookUp = this.policies().every((policy) => policy.mayLookUp(name));
    if (name === HOST_NAME || !mayLookUp || !this.driver.resolves) return true;
    if (this.lookups >= MAX_LOOKUPS) throw new Error(`more than ${MAX_LOOKUPS} names are being looked up`);
    this.lookups++;
    try {
      const exists = Boolean(await this.driver.resolves(name, options));
      if (!exists) this.journal.addLookup(name, { error: "ENOTFOUND", reason: "not found" });
      return exists;
    } catch (error) {
      this.journal.addLookup(
        name,
        options.signal.aborted ? { error: "ETIMEDOUT" } : failureOf(error, "EAI_AGAIN"),
      );
      throw error;
    } finally {
      this.lookups--;
    }
  }

  /** Connects, if the rules allow it. */
  async connect(target: DialTarget, options: DialOptions): Promise<ByteConnection> {
    const { host, port } = target;
    const entry = this.journal.add({
      ...{ at: new Date(), host, port },
      ...{ verdict: "allowed", sentBytes: 0, receivedBytes: 0 },
    });
    const verdict = this.decide(target);
    if (!verdict.allowed) throw deny(entry, verdict.rule);
    if (!this.counter.take()) throw deny(entry, "too many connections");
    try {
      return await this.dial(target, entry, options, verdict);
    } catch (error) {
      this.counter.release();
      throw error;
    }
  }

  /**
   * Replaces the rules. Connections that they do not allow are reset, those that are being made among them.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when a rule makes no sense; the rules stay as they are
   */
  update(network: true | NetworkOptions): void {
    this.policy = new NetworkPolicy(network);
    for (const one of [...this.open]) {
      const refusal = this.refusalOf(one);
      if (refusal === undefined) continue;
      Object.assign(one.entry, { rule: refusal });
      one.connection.reset(new DialError("ECONNRESET", `the rules have changed: ${refusal}`));
    }
  }

  /** Returns the rule or reason that denies a connection, as far as its name or address tells; undefined when it is allowed. */
  denialOf(target: DialTarget): string | undefined {
    const verdict = this.decide(target);
    return verdict.allowed ? undefined : verdict.rule;
  }

  /** Returns true when no rule names anything: all that is public may be reached. */
  get isOpen(): boolean {
    return this.policies().every((policy) => policy.isOpen);
  }

  /** Returns the last 200 connections, oldest first. */
  log(): NetworkLogEntry[] {
    for (const { connection, entry } of this.open) noteBytes(entry, connection);
    return this.journal.list();
  }

  private async dial(
    target: DialTarget,
    entry: NetworkLogEntry,
    { signal, mayReach: mayAlsoReach }: DialOptions,
    { refusalOf }: Verdict & { allowed: true },
  ): Promise<ByteConnection> {
    const asked: string[] = [];
    let refusal: string | undefined;
    const mayReach = (address: string) => {
      const why = refusalOf(address);
      refusal ??= why;
      if (why !== undefined || mayAlsoReach?.(address) === false) return false;
      asked.push(address);
      return true;
    };
    const onRefusal = (message: string | undefined) => noteRefusal(entry, message);
    let connection: ByteConnection;
    try {
      const way = this.neighbor(target.host) ?? this.driver;
      connection = requireConnection(await way.connect(target, { signal, mayReach, onRefusal }));
    } catch (error) {
      const rule = refusal ?? (error instanceof DialError ? error.rule : undefined);
      if (errnoOf(error) === "EACCES" && rule !== undefined) throw deny(entry, rule);
      noteEnded(entry, signal.aborted ? { error: "ECANCELED" } : failureOf(error));
      throw error;
    }
    const { address } = connection;
    if (address !== undefined) entry.address = address;
    return this.track({ target, entry, addresses: address === undefined ? asked : [address] }, connection);
  }

  private track(open: Omit<Open, "connection">, inner: ByteConnection): ByteConnection {
    const { entry } = open;
    let isRefused = false;
    const connection = new TrackedConnection(inner, (end) => {
      this.open.delete(one);
      noteBytes(entry, connection);
      if (end === undefined) noteEnded(entry);
      else
        noteEnded(entry, end.isOurs ? { error: errnoOf(end.error) ?? "ECONNRESET" } : failureOf(end.error));
      // A connection that is refused has not been handed out, and its caller counts it.
      if (!isRefused) this.counter.release();
    });
    const one: Open = { ...open, connection };
    this.open.add(one);
    // The rules may have changed meanwhile, and a driver need not have asked.
    const refusal = this.refusalOf(one);
    if (refusal === undefined) return connection;
    isRefused = true;
    connection.reset(new DialError("ECONNRESET", refusal));
    throw deny(entry, refusal);
  }

  private refusalOf({ target, addresses }: Pick<Open, "target" | "addresses">): string | undefined {
    const verdict = this.decide(target);
    if (!verdict.allowed) return verdict.rule;
    for (const address of addresses) {
      const refusal = verdict.refusalOf(address);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** Decides by all policies: the first that denies has the last word. */
  private decide({ host, port }: DialTarget): Verdict {
    if (this.neighbor(host)) return { allowed: true, refusalOf: () => undefined };
    const verdicts = this.policies().map((policy) => policy.decide(host, port));
    const denied = verdicts.find(({ allowed }) => !allowed);
    if (denied) return denied;
    const refusals = verdicts.flatMap((verdict) => (verdict.allowed ? [verdict.refusalOf] : []));
    const refusalOf = (address: string) => {
      for (const ask of refusals) {
        const refusal = ask(address);
        if (refusal !== undefined) return refusal;
      }
      return undefined;
    };
    return { allowed: true, refusalOf };
  }

  private policies(): NetworkPolicy[] {
    return this.bounds ? [this.bounds, this.policy] : [this.policy];
  }
}

function noteBytes(entry: NetworkLogEntry, { sentBytes, receivedBytes }: TrackedConnection): void {
  Object.assign(entry, { sentBytes, receivedBytes });
}

function deny(entry: NetworkLogEntry, rule: string): DialError {
  noteDenied(entry, rule);
  return new DialError("EACCES", `a connection to ${entry.host} port ${entry.port} is denied: ${rule}`);
}

/** Checks what a dialer has made, which may be the caller's. @throws {TypeError} when it is no connection */
function requireConnection(given: ByteConnection): ByteConnection {
  const { readable, writable } = (given ?? {}) as Partial<ByteConnection>;
  const isConnection = typeof readable?.getReader === "function" && typeof writable?.getWriter === "function";
  if (isConnection && !readable.locked && !writable.locked) return given;
  throw new TypeError(
    `the dialer's connect must resolve to { readable, writable }, two streams that nobody else uses${isConnection ? "" : `, got ${shown(given)}`}`,
  );
}
