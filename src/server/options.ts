import type { Backend } from "../backend/backend.js";
import { invalid } from "../backend/errors.js";
import { shown } from "../backend/validate.js";
import { describeUnknown } from "../contract/option-names.js";
import { isToken } from "../contract/token.js";
import type { Dialer } from "../network/dialer.js";
import { parseRules } from "../network/rules.js";

/** Options of the relay of {@link HandlerOptions.relay}. */
export interface RelayOptions {
  /** Rules of what the relay may connect to, such as "pypi.org" or "*.example.com:443". @default every public address, on every port but 25 */
  allow?: string[];
  /** Rules of what it may not connect to, which win over `allow`. @default none */
  deny?: string[];
  /** Token that clients of the relay must send, and that is good for nothing else: another than the server's. @default `token` of the server, one of which there must be */
  token?: string;
  /** Makes the connections that the rules allow. `createHandler` needs one. @default for `serve`, real connections of this machine */
  dialer?: Dialer;
}

/** Options of {@link createHandler}. */
export interface HandlerOptions {
  /**
   * Host names that a request may have in its Host header, without ports. Others are refused with 403, which keeps a web page from reaching the server under a
   * name of its own (DNS rebinding).
   * @default any, for a handler that is called in this process or behind a server that checks; for `serve` on a loopback address, that address's names
   */
  hosts?: readonly string[];
  /** Origins of other pages that may use this server ("https://example.com"), and get CORS headers. Requests of all others are refused with 403. @default none */
  allowOrigins?: readonly string[];
  /**
   * Whether clients may mount directories of this machine in their boxes, as far as the backend allows it: `local.volumes` names those that it does. Whoever may send requests
   * can then read and write them.
   * @default false: a box with `volumes` is refused with UNSUPPORTED
   */
  allowVolumes?: boolean;
  /** Bearer token that every request must have, or is refused with 401. @default none */
  token?: string;
  /**
   * Domain of previews: each is a host of its own under it, so all its names must lead to this server, and no other program may have one.
   * @default none, and no previews; for `serve` on a loopback address "localhost"
   */
  previewDomain?: string;
  /**
   * Relay by which boxes in pages reach the network: a WebSocket at `/v1/relay/` that speaks Wisp. A page sends its token as `?token=`, since a browser's WebSocket has no headers; `/v1/relay/TOKEN/` is
   * for clients that take no query. Origin and Host are checked as for any request.
   * @default none
   *
   * @example
   * const server = await serve(createLocalBackend(), { relay: { token: "secret", allow: ["*.example.com"] } });
   */
  relay?: RelayOptions;
  /** Largest upload in bytes. @default 1 GiB */
  maxUploadBytes?: number;
  /**
   * Largest body of JSON or stdin in bytes. Linux takes commands of up to 2 MiB, which fit into the default (execve(2), "Limits on size of arguments and
   * environment").
   * @default 4 MiB
   */
  maxBodyBytes?: number;
  /** Interval in milliseconds between keep-alive comments in a silent event stream. @default 15000 */
  keepAliveMs?: number;
  /** Whether to serve the extensions of this project. False: only the published API. @default true */
  extensions?: boolean;
}

/** The {@link HandlerOptions} with their defaults filled in. */
export type Settings = Required<Omit<HandlerOptions, "hosts" | "token" | "previewDomain" | "relay">> &
  Pick<HandlerOptions, "hosts" | "token" | "previewDomain" | "relay">;

const DEFAULTS = {
  allowOrigins: [],
  allowVolumes: false,
  maxUploadBytes: 2 ** 30,
  maxBodyBytes: 4 * 2 ** 20,
  keepAliveMs: 15_000,
  extensions: true,
};
const OPTIONS = [...Object.keys(DEFAULTS), "hosts", "token", "previewDomain", "relay"];
const RELAY_OPTIONS = ["allow", "deny", "token", "dialer"];
const DOMAIN = /^(?=.{1,180}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/** Checks the options and fills in the defaults. @throws {BoxRunError} VALIDATION_ERROR for an unknown option, and for a token that nobody could send */
export function settingsOf(options: HandlerOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw invalid(describeUnknown(name, OPTIONS));
  }
  const { token, previewDomain } = options;
  if (previewDomain !== undefined && !(typeof previewDomain === "string" && DOMAIN.test(previewDomain)))
    throw invalid(
      `previewDomain must be a domain in lower case without a port, got ${typeof previewDomain === "string" ? JSON.stringify(previewDomain) : shown(previewDomain)}`,
      "such as preview.example.com",
    );
  // The value itself must not be in the message.
  if (token !== undefined && !isToken(token)) {
    throw invalid("token must be a string of visible ASCII characters", "leave it out for no token");
  }
  if (options.relay !== undefined) requireRelay(options.relay, token);
  return { ...DEFAULTS, ...options };
}

function requireRelay(relay: RelayOptions, serverToken: string | undefined): void {
  if (typeof relay !== "object" || relay === null)
    throw invalid(`relay must be an object, got ${shown(relay)}`);
  for (const name of Object.keys(relay))
    if (!RELAY_OPTIONS.includes(name)) throw invalid(`relay: ${describeUnknown(name, RELAY_OPTIONS)}`);
  const { allow, deny, token } = relay;
  if (token !== undefined && !isToken(token))
    throw invalid("relay.token must be a string of visible ASCII characters");
  if (token === undefined && serverToken === undefined)
    throw invalid("a relay needs a token, since any page may try to use it", "set relay.token");
  if (token !== undefined && token === serverToken)
    throw invalid(
      "relay.token must be another than the server's token, since every page with the relay's URL has it",
    );
  parseRules({ ...(allow && { allow }), ...(deny && { deny }) }, "relay");
}

/** Checks that an argument is a backend. @throws {BoxRunError} VALIDATION_ERROR when it clearly is not */
export function requireBackend(backend: Backend): void {
  if (typeof backend?.info === "function" && typeof backend.createBox === "function") return;
  throw invalid(
    "the first argument must be a backend",
    "such as createLocalBackend() from boxrun/local returns",
  );
}
