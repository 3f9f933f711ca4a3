import type { NetworkOptions } from "../contract/types.js";
import { type Address, formsOf, isLocal, isPublic, isWithin, LOOPBACK, parseAddress } from "./addresses.js";
import { HOST_NAME, isName } from "./names.js";
import { parseRules, type Rule, type RuleSet } from "./rules.js";

/** Port of mail servers, which a box could flood with spam in the name of its host. It needs a rule with this port alone. */
const MAIL_PORT = 25;

/** Decision about a connection. What is allowed by its name still has an address to be checked. */
export type Verdict =
  | {
      allowed: false;
      /** Rule or reason that denies it. */
      rule: string;
    }
  | {
      allowed: true;
      /** Returns the rule or reason that denies an address of the host; undefined for one that may be connected to. */
      refusalOf(address: string): string | undefined;
    };

/** The same, of an address that has been parsed. */
type Decision =
  | { allowed: false; rule: string }
  | { allowed: true; refusalOf(address: Address): string | undefined };

const denied = (rule: string) => ({ allowed: false, rule }) as const;

/** Decides what a box may connect to. Whatever it does not know how to read is denied. */
export class NetworkPolicy {
  private readonly rules: RuleSet;

  /** Creates a policy from rules. `owner` is a word for whose rules they are, before their names in verdicts. @throws {BoxRunError} VALIDATION_ERROR when a rule makes no sense */
  constructor(
    network: true | NetworkOptions,
    private readonly owner = "",
  ) {
    this.rules = parseRules(network === true ? {} : network);
  }

  /** True when no rule names anything: all that is public may be reached. */
  get isOpen(): boolean {
    return this.rules.allow === undefined && this.rules.deny.length === 0;
  }

  /** Decides about a connection by the name or the address that the program gave. */
  decide(host: string, port: number): Verdict {
    const verdict = this.verdictOn(host, port);
    if (!verdict.allowed) return denied(this.owner + verdict.rule);
    const { refusalOf } = verdict;
    const ownRefusalOf = (address: Address) => {
      const refusal = refusalOf(address);
      return refusal && this.owner + refusal;
    };
    return { allowed: true, refusalOf: (text) => refusalOfText(text, ownRefusalOf) };
  }

  private verdictOn(host: string, port: number): Decision {
    const address = parseAddress(host);
    if (!address && !isName(host)) return denied("not a name or an address");
    const denying = this.rules.deny.find((rule) => fits(rule, address ?? host, port));
    if (denying) return denied(denying.title);
    const allowing = this.rules.allow?.filter((rule) => fits(rule, address ?? host, port));
    if (host === HOST_NAME) return this.verdictOnHost(allowing ?? [], port);
    if (port === MAIL_PORT && !allowing?.some(({ ports }) => ports?.first === port && ports.last === port))
      return denied(`port ${MAIL_PORT}`);
    // An address that is not public has a reason of its own.
    const refusal = address && this.refusalOf(address, port);
    if (refusal) return denied(refusal);
    if (allowing?.length === 0) return denied("not in allow");
    return { allowed: true, refusalOf: (other) => this.refusalOf(other, port) };
  }

  /**
   * Returns true when the rules may allow a connection to a name, so that it makes sense to ask a name server for it. A name that is denied is not asked for: a
   * question can carry data out of the box.
   */
  mayLookUp(name: string): boolean {
    const names = ({ host }: Rule) => matches(host, name);
    if (name === HOST_NAME || !isName(name)) return false;
    if (this.rules.deny.some((rule) => rule.ports === undefined && names(rule))) return false;
    return this.rules.allow === undefined || this.rules.allow.some(names);
  }

  private verdictOnHost(allowing: readonly Rule[], port: number): Decision {
    // A star is not enough for the host itself.
    if (!allowing.some(({ host }) => host.type === "name"))
      return denied(`${HOST_NAME} needs a rule of its own`);
    const refusalOf = (address: Address) =>
      LOOPBACK.some((block) => isWithin(address, block))
        ? this.denialOf(address, port)
        : "address is not the host's";
    return { allowed: true, refusalOf };
  }

  private refusalOf(address: Address, port: number): string | undefined {
    const denial = this.denialOf(address, port);
    if (denial !== undefined) return denial;
    return isPublic(address) || this.opens(address, port) ? undefined : "address is not public";
  }

  private denialOf(address: Address, port: number): string | undefined {
    return this.rules.deny.find((rule) => fits(rule, address, port))?.title;
  }

  /** Returns true when a rule names an address that is not public. A block with public ones as well, such as 0.0.0.0/0, stands for those alone. */
  private opens(address: Address, port: number): boolean {
    const opening = this.rules.allow?.filter((rule) => fits(rule, address, port)) ?? [];
    return opening.some(({ host }) => host.type === "block" && isLocal(host.block));
  }
}

function refusalOfText(
  text: string,
  refusalOf: (address: Address) => string | undefined,
): string | undefined {
  const address = parseAddress(text);
  return address ? refusalOf(address) : "not an address";
}

/** Returns true for a rule that is about a name or an address, and a port. Rules about names are never about addresses, nor the other way round. */
function fits({ host, ports }: Rule, target: string | Address, port: number): boolean {
  return matches(host, target) && (!ports || (port >= ports.first && port <= ports.last));
}

function matches(pattern: Rule["host"], target: string | Address): boolean {
  if (pattern.type === "any") return true;
  if (typeof target !== "string")
    return pattern.type === "block" && formsOf(target).some((form) => isWithin(form, pattern.block));
  if (pattern.type === "name") return target === pattern.name;
  return pattern.type === "below" && target.endsWith(pattern.suffix);
}
