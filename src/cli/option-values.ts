import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { HostVolume, NetworkOptions } from "../index.js";
import { requireRelayUrl } from "../local/boxes/relay-url.js";
import { requireRules } from "../network/rules.js";
import { previewHome } from "../ports/preview-url.js";
import { inFlags } from "./flags.js";

/** The error of a command line that makes no sense. The message says why. */
export class UsageError extends Error {}

export const MAX_PORT = 65_535;

/** Parses an integer of at least 0; `name` is that of the option or variable. @throws {UsageError} */
export function parseInteger(name: string, text: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return value;
  throw new UsageError(`${name} must be an integer from 0 to ${max}, got ${text}`);
}

/** A port of a box, and the port of this machine that is to lead to it; 0 for a free one. */
export interface PublishedPort {
  hostPort: number;
  port: number;
}

/** Parses "HOST_PORT:PORT", or "PORT" for the same number on both sides. @throws {UsageError} */
export function parsePublished(name: string, text: string): PublishedPort {
  const [, host, guest] = /^(?:(\d{1,5}):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(guest);
  const hostPort = Number(host ?? guest);
  if (port >= 1 && port <= MAX_PORT && hostPort <= MAX_PORT) return { hostPort, port };
  throw new UsageError(`${name} must be HOST_PORT:PORT, such as 8080:80, got ${text}`);
}

/** Checks the rules of a network. @throws {UsageError} */
export function parseNetworkRules(rules: NetworkOptions): NetworkOptions {
  return checked(rules, requireRules);
}

/** Checks the address of an origin for previews. @throws {UsageError} */
export function parsePreviewUrl(text: string): string {
  return checked(text, previewHome);
}

/** Checks the address of a relay, whose path and query are in no message. @throws {UsageError} */
export function parseRelayUrl(text: string): string {
  return checked(text, requireRelayUrl);
}

/** Returns a value that passes the check of the API, whose error becomes one of the command line. */
function checked<T>(value: T, check: (value: T) => void): T {
  try {
    check(value);
    return value;
  } catch (error) {
    throw new UsageError(inFlags((error as Error).message));
  }
}

/** A secret of a box: the variable of this process that has its value, and the servers that may get it. */
export interface SecretOption {
  name: string;
  hosts: string[];
}

/** Parses "NAME=HOST[,HOST]...". The text is not shown: who mistakes it for the value must not find it in a log. @throws {UsageError} */
export function parseSecret(text: string): SecretOption {
  const [, name, hosts] = /^([A-Za-z_]\w*)=([^,]+(?:,[^,]+)*)$/.exec(text) ?? [];
  if (name !== undefined && hosts !== undefined) return { name, hosts: hosts.split(",") };
  throw new UsageError(
    "--secret must be NAME=HOST[,HOST]..., such as API_KEY=api.example.com; its value is that of the variable NAME",
  );
}

/** Checks the address of a server. @throws {UsageError} */
export function parseServer(text: string): string {
  if (/^(https?:\/\/|unix:)./.test(text)) return text;
  throw new UsageError(`--server must be http://HOST:PORT, https://HOST or unix:PATH, got ${text}`);
}

/** Checks that an origin has the form in which browsers send it; any other form would allow nobody. @throws {UsageError} */
export function parseOrigin(text: string): string {
  if (URL.canParse(text) && new URL(text).origin === text) return text;
  throw new UsageError(
    `--allow-origin must be an origin such as https://example.com, without a / at its end, got ${text}`,
  );
}

/** Parses an environment variable. @throws {UsageError} */
export function parseVariable(text: string): [name: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`--env must be NAME=VALUE, got ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Parses "HOST_DIR:BOX_DIR", with ":ro" for a volume that the box only reads; ":rw" is the default. A relative directory is one of this process. @throws {UsageError} */
export function parseVolume(text: string): HostVolume {
  const [, hostPath, guestPath, mode] = /^(.+?):(\/[^:]*)(?::(ro|rw))?$/s.exec(text) ?? [];
  if (hostPath === undefined || guestPath === undefined)
    throw new UsageError(
      `--volume must be HOST_DIR:BOX_DIR, HOST_DIR:BOX_DIR:ro or HOST_DIR:BOX_DIR:rw, such as .:/work, got ${text}: ${volumeFault(text)}`,
    );
  return { hostPath: resolve(hostPath), guestPath, ...(mode === "ro" && { readonly: true }) };
}

/** Says which part of a volume is wrong. */
function volumeFault(text: string): string {
  const parts = text.split(":");
  const last = parts.pop()!;
  if (parts.length === 0) return "BOX_DIR is missing";
  if (parts.every((part) => part === "")) return "HOST_DIR is missing";
  const isMode = last === "ro" || last === "rw";
  if (parts.length > 1 && !isMode && parts.at(-1)!.startsWith("/"))
    return `the part after BOX_DIR must be ro or rw, got ${JSON.stringify(last)}`;
  const guestPath = parts.length > 1 && isMode ? parts.at(-1) : last;
  return `BOX_DIR must be an absolute path in the box, got ${JSON.stringify(guestPath)}`;
}

/** Returns the absolute path of a directory whose contents boxes may have. @throws {UsageError} when it is none */
export function resolveDirectory(text: string): string {
  if (!statSync(text, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--allow-volumes must be a directory of this machine, got ${text}`);
  return resolve(text);
}
