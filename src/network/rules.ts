import { type BoxRunError, invalid } from "../backend/errors.js";
import type { NetworkOptions } from "../contract/types.js";
import { type AddressBlock, addressText, firstOf, isWithin, LOOPBACK, parseBlock } from "./addresses.js";
import { asciiName, HOST_NAME } from "./names.js";

const MAX_PORT = 65_535;
const FORM = "must be a name, an address or a CIDR, with optional ports";

/** Pattern for the host of a connection: anything, a name, a name that ends in a suffix (".example.com"), or an address in a block. */
export type HostPattern =
  | { type: "any" }
  | { type: "name"; name: string }
  | { type: "below"; suffix: string }
  | { type: "block"; block: AddressBlock };

/** A rule of a box's network. */
export interface Rule {
  /** Rule with its place among the options, as the log shows it: "deny[0] *.example.com". */
  readonly title: string;
  readonly host: HostPattern;
  /** First and last port; undefined: all. */
  readonly ports: { readonly first: number; readonly last: number } | undefined;
}

/** All rules of a network. Without `allow`, what is not denied is allowed. */
export interface RuleSet {
  readonly allow: readonly Rule[] | undefined;
  readonly deny: readonly Rule[];
}

/**
 * Parses the rules of a network. `root` is the name of the option that they are in.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when one makes no sense, naming it
 */
export function parseRules({ allow, deny = [] }: NetworkOptions, root = "network"): RuleSet {
  const parse = (list: "allow" | "deny") => (text: string, i: number) => ({
    title: `${list}[${i}] ${text}`,
    ...parseRule(text, `${root}.${list}[${i}]`),
  });
  const allowed = allow?.map(parse("allow"));
  const own = allowed?.findIndex((rule) => isOwnLoopback(rule, allowed)) ?? -1;
  if (own >= 0)
    throw invalid(
      `${root}.allow[${own}] names the loopback of the box itself, which needs no rule, got ${JSON.stringify(allow![own])}`,
      `"${HOST_NAME}:PORT" is a port of the machine that runs the box`,
    );
  return { allow: allowed, deny: deny.map(parse("deny")) };
}

/** Returns true for a rule that allows nothing: a box's own loopback never leaves it. Beside names, an address is one that these may lead to. */
function isOwnLoopback({ host }: Rule, all: readonly Rule[]): boolean {
  if (host.type === "name") return host.name === "localhost";
  if (host.type === "below") return host.suffix === ".localhost";
  if (host.type !== "block" || all.some((rule) => rule.host.type !== "block")) return false;
  return LOOPBACK.some((block) => isWithin(host.block, block));
}

/** Checks the rules of a network, if it has any. @throws {BoxRunError} VALIDATION_ERROR when one makes no sense, naming it */
export function requireRules(network: boolean | NetworkOptions): void {
  if (typeof network === "object") parseRules(network);
}

/** Creates the error for new rules for a box that has no network. */
export function withoutNetwork(boxId: string): BoxRunError {
  return invalid(`box ${boxId} was created without a network`, "create it with network: true, or with rules");
}

/** Parses one rule. `name` is what an error calls it. @throws {BoxRunError} VALIDATION_ERROR */
export function parseRule(text: string, name: string): Omit<Rule, "title"> {
  const fault = (hint?: string) => invalid(`${name} ${FORM}, got ${JSON.stringify(text)}`, hint);
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
  if (scheme) throw fault(`leave out ${JSON.stringify(scheme)}`);
  const { host, ports } = splitRule(text);
  const range = ports === undefined ? undefined : parsePorts(ports);
  if (range === null) throw fault(`ports are numbers from 1 to ${MAX_PORT}, such as ":443" or ":8000-8100"`);
  const pattern = parseHost(host);
  if (pattern?.type === "block") {
    const first = firstOf(pattern.block);
    if (first.value !== pattern.block.value)
      throw fault(`the block begins at ${addressText(first)}/${pattern.block.prefix}`);
  }
  if (!pattern) throw fault(hintFor(host));
  return { host: pattern, ports: range };
}

/** Takes the ports off a rule. IPv6 needs brackets to have any. */
function splitRule(text: string): { host: string; ports: string | undefined } {
  const bracketed = /^\[([^[\]]*:[^[\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed) return { host: bracketed[1]!, ports: bracketed[2] };
  const [host = "", ports, ...more] = text.split(":");
  return more.length > 0 ? { host: text, ports: undefined } : { host, ports };
}

/** Parses "443" or "8000-8100". Null for what is neither. */
function parsePorts(text: string): { first: number; last: number } | null {
  const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  return first >= 1 && last <= MAX_PORT && first <= last ? { first, last } : null;
}

function parseHost(host: string): HostPattern | undefined {
  if (host === "*") return { type: "any" };
  const block = parseBlock(host);
  if (block) return { type: "block", block };
  const isBelow = host.startsWith("*.");
  const name = asciiName(isBelow ? host.slice(2) : host);
  if (name === undefined) return undefined;
  return isBelow ? { type: "below", suffix: `.${name}` } : { type: "name", name };
}

function hintFor(host: string): string | undefined {
  if (host.includes("*"))
    return 'a star stands for all names below one, as in "*.example.com", or alone for everything';
  if (/(?:^|\.)(?:\d+|0x[\da-f]*)$/i.test(host))
    return "an address has four decimal numbers, such as 203.0.113.7";
  const path = /^[^/]+\.[a-z][^/]*(\/.*)$/i.exec(host)?.[1];
  return path === undefined ? undefined : `leave out ${JSON.stringify(path)}`;
}
