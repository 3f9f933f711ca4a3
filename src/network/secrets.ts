import type { Backend, LaunchOptions } from "../backend/backend.js";
import { requireCapability } from "../backend/capabilities.js";
import { invalid } from "../backend/errors.js";
import { parseInput } from "../backend/validate.js";
import { secretsSchema } from "../contract/secret-schemas.js";
import type { BoxSpec, Secrets } from "../contract/types.js";
import { asciiName, HOST_NAME } from "./names.js";

/** Variables that boxes have anyway, for their commands and for the certificate authority of the secrets. */
const TAKEN =
  /^(?:PATH|HOME|USER|LANG|SSL_CERT_FILE|.*CA_BUNDLE|PIP_CERT|.*_CAINFO|NODE_EXTRA_CA_CERTS|DENO_CERT)$/;

/**
 * Checks secrets, for a box of a description where that is known, and writes their hosts as name servers have them. Returns undefined for none.
 *
 * @throws {BoxRunError} VALIDATION_ERROR, naming what is wrong. No value is ever part of a message.
 */
export function parseSecrets(input: unknown, box?: Pick<BoxSpec, "network" | "env">): Secrets | undefined {
  if (Array.isArray(input)) throw invalid("secrets must be an object, got array");
  const parsed = parseInput(secretsSchema, input, "secrets");
  if (Object.hasOwn(input as object, "__proto__"))
    throw invalid("secrets.__proto__ cannot be the name of a variable");
  const secrets = Object.entries(parsed).map(([name, { value, hosts }]) => [
    name,
    { value, hosts: hosts.map((host, i) => parseHost(host, `secrets.${name}.hosts[${i}]`)) },
  ]);
  if (secrets.length === 0) return undefined;
  if (box?.network === false)
    throw invalid(
      "secrets need a network",
      "set network to true, or to rules that allow their hosts: a secret opens none",
    );
  for (const name of Object.keys(parsed))
    if (TAKEN.test(name))
      throw invalid(`secrets.${name} cannot have the name of a variable that boxes need themselves`);
  for (const name of Object.keys(parsed))
    if (box?.env && Object.hasOwn(box.env, name))
      throw invalid(`secrets.${name} is in env, too`, "give it once");
  return Object.fromEntries(secrets);
}

/**
 * Checks the secrets among the options of a start.
 *
 * @throws {BoxRunError} VALIDATION_ERROR, naming what is wrong
 * @throws {BoxRunError} UNSUPPORTED when the backend has no secrets
 */
export function withSecrets(
  { secrets: given, ...options }: LaunchOptions,
  { capabilities }: Pick<Backend, "capabilities">,
): LaunchOptions {
  const secrets = given === undefined ? undefined : parseSecrets(given);
  if (!secrets) return options;
  requireCapability(capabilities, "secrets");
  return { ...options, secrets };
}

/**
 * Checks the secrets of a start: they have to be those that the box was created with, by name.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when one is missing, or there is another one
 */
export function requireSameSecrets(
  boxId: string,
  names: readonly string[],
  secrets: Secrets | undefined,
): void {
  const given = Object.keys(secrets ?? {});
  const missing = names.filter((name) => !given.includes(name));
  const hint = "secrets are not stored: give those of the creation at each start";
  if (missing.length > 0)
    throw invalid(`box ${boxId} needs secrets.${missing.join(", secrets.")} to start`, hint);
  const other = given.filter((name) => !names.includes(name));
  if (other.length > 0)
    throw invalid(`box ${boxId} was created without secrets.${other.join(", secrets.")}`, hint);
}

/**
 * Checks secrets against the hosts of those of a box that runs, which keeps them until it is stopped.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when the hosts of one are others
 */
export function requireSameHosts(
  boxName: string,
  hostsByName: Readonly<Record<string, readonly string[]>>,
  secrets: Secrets,
): void {
  const written = (hosts: readonly string[] = []) => [...new Set(hosts)].sort().join(", ");
  for (const [name, { hosts }] of Object.entries(secrets))
    if (written(hosts) !== written(hostsByName[name]))
      throw invalid(
        `box ${boxName} already runs with other hosts for secrets.${name}: ${written(hostsByName[name])}`,
        "stop it first",
      );
}

function parseHost(text: string, name: string): string {
  const isBelow = text.startsWith("*.");
  const ascii = asciiName(isBelow ? text.slice(2) : text);
  const isOwn = ascii === HOST_NAME || /(?:^|\.)localhost$/.test(ascii ?? "");
  // "*.com" would be a secret for half of the internet.
  if (ascii !== undefined && !isOwn && !(isBelow && !ascii.includes(".")))
    return isBelow ? `*.${ascii}` : ascii;
  // The text is not shown: it may be the value, in the wrong place.
  throw invalid(
    `${name} must be a name such as "api.example.com", or "*.example.com"`,
    "leave out scheme, port and path: a secret is for https on port 443",
  );
}
