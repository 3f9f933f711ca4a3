import { invalid } from "../backend/errors.js";
import { PROTOCOL } from "../contract/attach.js";
import { tokenOf } from "../contract/attach-token.js";
import { guard, withToken } from "./guard.js";
import { HttpError } from "./http-error.js";
import type { RelayOptions, Settings } from "./options.js";
import { Relay } from "./relay.js";
import type { Upgrade } from "./upgrade.js";

const PATH = "/v1/relay/";

/** Returns true for a request for the relay. */
export function isRelayPath(request: Request): boolean {
  return new URL(request.url).pathname.startsWith(PATH);
}

/** Creates the error of a request that asks the relay for a page. Whoever opens its URL in a browser learns what it is for. */
export function notForHttp(): HttpError {
  return new HttpError(426, `${PATH} is a relay that speaks Wisp: open it as a WebSocket, with local.relay`, {
    upgrade: "websocket",
  });
}

/** Opens the relay of a handler. @throws {BoxRunError} VALIDATION_ERROR when nothing makes its connections */
export function openRelay(
  { allow, deny, token, dialer }: RelayOptions,
  settings: Settings,
): { upgrade(request: Request): Promise<Upgrade> } {
  if (typeof dialer?.connect !== "function")
    throw invalid("relay.dialer must be an object with a function connect", "serve has one by itself");
  const relay = new Relay(dialer, { ...(allow && { allow }), ...(deny && { deny }) });
  const own = { ...settings, ...(token !== undefined && { token }) };
  return {
    upgrade: async (request) => {
      const offered = (request.headers.get("sec-websocket-protocol") ?? "")
        .split(",")
        .map((name) => name.trim());
      const { rest, token: given } = tokenIn(new URL(request.url));
      guard(withToken(request, given ?? tokenOf(offered)), own);
      if (rest !== "") throw new HttpError(404, `there is no WebSocket at ${PATH}…`);
      const protocol = offered.includes(PROTOCOL) ? PROTOCOL : "";
      return { protocol, accept: (socket) => relay.serve(socket) };
    },
  };
}

/** Finds the token in the query, or in the path as one part of it. `rest` is what the path has else. */
function tokenIn({ pathname, searchParams }: URL): { rest: string; token: string | undefined } {
  // In a query, "+" is a space, which no token has.
  const asked = searchParams.get("token")?.replaceAll(" ", "+");
  const [, part, rest] = /^([^/]*)\/?(.*)$/.exec(pathname.slice(PATH.length)) ?? [];
  if (!part) return { rest: rest ?? "", token: asked };
  return { rest: rest ?? "", token: asked ?? decoded(part) };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
