import { invalid } from "../../backend/errors.js";
import { isInPage } from "../../util/runtime.js";

/** Names of this machine, whose connections nobody else sees. */
const OWN_NAMES = /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/;

/** Checks the URL of a relay. Its path and query, which may have a token, are in no message. @throws {BoxRunError} VALIDATION_ERROR */
export function requireRelayUrl(text: string): void {
  const example = 'such as "wss://box.example.com/v1/relay/"';
  if (!URL.canParse(text)) throw invalid("local.relay must be a URL", example);
  const { protocol, host, hostname, pathname, hash, username, password } = new URL(text);
  const place = `${protocol}//${host}`;
  if (protocol !== "wss:" && protocol !== "ws:")
    throw invalid(`local.relay must begin with wss:, got ${place}`, example);
  if (!pathname.endsWith("/"))
    throw invalid(`the path of local.relay must end in "/", as Wisp demands, at ${place}`, example);
  if (hash || username || password)
    throw invalid(`local.relay must have no user, password or fragment, at ${place}`, example);
  if (protocol === "ws:" && !OWN_NAMES.test(hostname) && !isInPlainPage())
    throw invalid(`local.relay must begin with wss: for another machine, got ${place}`, example);
}

/** Returns true in a page that has come without encryption itself. */
function isInPlainPage(): boolean {
  const { location } = globalThis as { location?: { protocol: string } };
  return isInPage() && location?.protocol === "http:";
}
