import type { Backend } from "../backend/backend.js";
import { PROTOCOL } from "../contract/attach.js";
import { tokenOf } from "../contract/attach-token.js";
import { describeIssue, PARSE_OPTIONS } from "../contract/issues.js";
import { matchRoute } from "../contract/routes.js";
import { terminalSpecSchema } from "../contract/schemas.js";
import { serveConnection } from "./connection.js";
import { guard, withToken } from "./guard.js";
import { HttpError } from "./http-error.js";
import type { Settings } from "./options.js";
import { boxId } from "./routes.js";
import { type ServerSocket, serveTerminal } from "./terminal.js";

/** A request for a WebSocket that passed its checks, from {@link Handler.upgrade}. */
export interface Upgrade {
  /** Sub-protocol to accept it with; "" for none. */
  protocol: string;
  /** Takes over the accepted socket. Resolves when it is closed; never rejects. */
  accept(socket: ServerSocket): Promise<void>;
  /** Gives up what was opened for the socket, where the host could not accept it. Absent: nothing was. */
  cancel?(): void;
}

/** Checks a request for a terminal. Errors of the box itself are sent over the socket, since a browser cannot read why an upgrade was refused. */
export async function upgrade(backend: Backend, request: Request, settings: Settings): Promise<Upgrade> {
  const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
  guard(withToken(request, tokenOf(offered)), settings);
  const url = new URL(request.url);
  const match = matchRoute("GET", url.pathname);
  const name = match.type === "route" ? match.name : undefined;
  const protocol = offered.includes(PROTOCOL) ? PROTOCOL : "";
  if (match.type === "route" && name === "connectPort" && settings.extensions) {
    const port = Number(match.params.port);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new HttpError(422, "port must be an integer from 1 to 65535");
    const target = { boxId: () => boxId({ backend, params: match.params }), port };
    const { keepAliveMs } = settings;
    return { protocol, accept: (socket) => serveConnection(backend, target, socket, { keepAliveMs }) };
  }
  if (match.type !== "route" || name !== "attach") {
    throw new HttpError(404, `there is no WebSocket at ${url.pathname}`);
  }
  const ask = (name: string) => url.searchParams.get(name) ?? undefined;
  const number = (name: string) => (ask(name) === undefined ? undefined : Number(ask(name)));
  const given = { shell: ask("shell"), cols: number("cols"), rows: number("rows"), term: ask("term") };
  const spec = terminalSpecSchema.safeParse(
    Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    PARSE_OPTIONS,
  );
  if (!spec.success) throw new HttpError(422, describeIssue(spec.error));
  const flow = settings.extensions && ask("flow") === "1";
  const target = { boxId: () => boxId({ backend, params: match.params }), spec: spec.data };
  return {
    protocol,
    accept: (socket) => serveTerminal(backend, target, socket, { flow, keepAliveMs: settings.keepAliveMs }),
  };
}
