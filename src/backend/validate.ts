import type * as z from "zod/mini";
import { describeIssue, PARSE_OPTIONS } from "../contract/issues.js";
import { localOptionsSchema } from "../contract/local-schemas.js";
import { describeUnknown } from "../contract/option-names.js";
import {
  boxSpecSchema,
  connectionOptionsSchema,
  execSpecSchema,
  presentNetwork,
  terminalSpecSchema,
} from "../contract/schemas.js";
import { isToken } from "../contract/token.js";
import type { BoxSpec, ExecSpec, NetworkOptions, TerminalSpec } from "../contract/types.js";
import { invalid } from "./errors.js";

/** Checks the description of a box and fills in the defaults. @throws {BoxRunError} VALIDATION_ERROR, naming the field that is wrong */
export function parseBoxSpec(input: unknown): BoxSpec {
  return parseInput(boxSpecSchema, input);
}

/** Checks the network of a box that has one. The rules themselves are checked by rules.ts. @throws {BoxRunError} VALIDATION_ERROR, naming the field that is wrong */
export function parseNetwork(input: unknown): true | NetworkOptions {
  if (input !== true && (typeof input !== "object" || input === null || Array.isArray(input)))
    throw invalid(
      `network must be true or an object such as { allow: ["pypi.org"] }, got ${input === false ? "false" : shown(input)}`,
      "{ allow: [] } denies everything",
    );
  return parseInput(presentNetwork, input, "network");
}

/** Checks the description of a command and fills in the defaults. @throws {BoxRunError} VALIDATION_ERROR, naming the field that is wrong */
export function parseExecSpec(input: unknown): ExecSpec {
  return parseInput(execSpecSchema, input);
}

/** Checks the description of a terminal and fills in the defaults. @throws {BoxRunError} VALIDATION_ERROR, naming the field that is wrong */
export function parseTerminalSpec(input: unknown): TerminalSpec {
  return parseInput(terminalSpecSchema, input);
}

/**
 * Checks the options of the local backend. `root` is the name of the option that they are in.
 *
 * @throws {BoxRunError} VALIDATION_ERROR, naming the option that is wrong
 */
export function requireLocalOptions(input: unknown, root?: string): void {
  parseInput(localOptionsSchema, input, root);
}

/** Checks the options that name a server and how to connect to it. @throws {BoxRunError} VALIDATION_ERROR, naming the option that is wrong */
export function requireConnectionOptions(input: {
  baseUrl?: unknown;
  socketPath?: unknown;
  token?: unknown;
  fetch?: unknown;
}): void {
  parseInput(connectionOptionsSchema, input);
  const { baseUrl, socketPath, token, fetch } = input;
  if (socketPath !== undefined && baseUrl !== undefined)
    throw invalid("give baseUrl or socketPath, not both");
  if (socketPath !== undefined && fetch !== undefined) throw invalid("give fetch or socketPath, not both");
  if (baseUrl !== undefined) parseBaseUrl(baseUrl as string);
  // The token itself must not be in the message.
  if (token === undefined || typeof token === "function") return;
  if (!isToken(token)) {
    throw invalid("token must be a string of visible ASCII characters, or a function that returns one");
  }
}

/** Parses the URL of a server, which may be relative in a page. Credentials are refused: they would end up in messages. */
export function parseBaseUrl(baseUrl: string): URL {
  const { location } = globalThis as { location?: { href: string } };
  let url: URL;
  try {
    url = new URL(baseUrl, location?.href);
  } catch {
    throw invalid("baseUrl must be a URL", 'such as "http://127.0.0.1:9090"');
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw invalid("baseUrl must use http or https");
  if (url.username || url.password) throw invalid("baseUrl must not contain a user or password", "use token");
  if (url.search || url.hash) throw invalid("baseUrl must not contain a query or fragment");
  // Each request adds it.
  url.pathname = url.pathname.replace(/\/v1\/*$/, "/");
  return url;
}

/** Checks that options are an object, and no signal in place of one, which would be ignored. @throws {BoxRunError} VALIDATION_ERROR when they are not */
export function requireObject(options: unknown, hint?: string): void {
  if (typeof options !== "object" || options === null || options instanceof AbortSignal)
    throw invalid("options must be an object", hint);
}

/** Checks that a signal is one. Signals of other realms are, too. @throws {BoxRunError} VALIDATION_ERROR when it is not */
export function requireSignal(signal: unknown): void {
  if (signal === undefined || typeof (signal as AbortSignal | null)?.throwIfAborted === "function") return;
  throw invalid(`signal must be an AbortSignal, got ${shown(signal)}`);
}

/** Checks the names of options, and their signal. A misspelt one would be ignored. */
export function requireOptions<T extends object>(options: T, names: Record<keyof T, true>): void {
  const known = Object.keys(names);
  const list = `the options are ${known.join(", ")}`;
  requireObject(options, list);
  for (const name of Object.keys(withoutUndefined(options) as object))
    if (!known.includes(name)) throw invalid(describeUnknown(name, known), list);
  if ("signal" in options) requireSignal(options.signal);
}

const MAX_MODE = 0o7777;

/** Returns a wrong argument as an error shows it. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "number" || value === null ? String(value) : typeof value;
}

/** Checks options that are true or false. @throws {BoxRunError} VALIDATION_ERROR, naming the one that is not */
export function requireFlags(flags: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(flags))
    if (typeof value !== "boolean") throw invalid(`${name} must be true or false, got ${shown(value)}`);
}

/** Checks permission bits. */
export function requireMode(mode: number): void {
  if (!Number.isInteger(mode) || mode < 0 || mode > MAX_MODE)
    throw invalid(`mode must be permission bits, such as 0o644, got ${shown(mode)}`);
}

/** Checks an input by a schema. `root` is its name in errors. @throws {BoxRunError} VALIDATION_ERROR, naming the field that is wrong */
export function parseInput<T extends z.ZodMiniType>(schema: T, input: unknown, root?: string): z.infer<T> {
  const result = schema.safeParse(withoutUndefined(input), PARSE_OPTIONS);
  if (result.success) return result.data;
  throw invalid(describeIssue(result.error, schema, root));
}

/** Drops options that are undefined, which is the same as leaving them out. */
function withoutUndefined(input: unknown): unknown {
  if (typeof input !== "object" || input === null) return input;
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}
