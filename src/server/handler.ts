import type { Backend } from "../backend/backend.js";
import { matchRoute, ROUTES } from "../contract/routes.js";
import { corsHeaders, guard, preflight } from "./guard.js";
import { errorResponse, HttpError } from "./http-error.js";
import { type HandlerOptions, requireBackend, settingsOf } from "./options.js";
import { HANDLERS } from "./routes.js";
import { type Upgrade, upgrade } from "./upgrade.js";

/** What {@link createHandler} makes. */
export interface Handler {
  (input: Request | URL | string, init?: RequestInit): Promise<Response>;
  /**
   * Answers a request for a WebSocket, `GET .../attach`: with a response that refuses it, or with what to do once the host has accepted it, which is each host's own business.
   *
   * @example
   * Deno.serve(async (request) => {
   *   if (request.headers.get("upgrade") !== "websocket") return handler(request);
   *   const upgrade = await handler.upgrade(request);
   *   if (upgrade instanceof Response) return upgrade;
   *   const { socket, response } = Deno.upgradeWebSocket(request, { protocol: upgrade.protocol });
   *   upgrade.accept(socket);
   *   return response;
   * });
   */
  upgrade(request: Request): Promise<Response | Upgrade>;
}

/**
 * Serves a backend as the BoxRun HTTP API: a web-standard handler, for any server that speaks `Request` and `Response`, a Service Worker, or a test that passes it to a
 * client as its `fetch`. Every answer is a response; it never rejects. The backend stays the caller's, who closes it.
 *
 * Throws VALIDATION_ERROR for what is no backend, for an option that there is not and for an empty token.
 *
 * @example
 * const handler = createHandler(createLocalBackend());
 * const client = new BoxRunClient({ baseUrl: "http://boxrun.internal", fetch: handler });
 */
export function createHandler(backend: Backend, options: HandlerOptions = {}): Handler {
  requireBackend(backend);
  const settings = settingsOf(options);
  const refuse = (error: unknown) => errorResponse(error, settings);

  const answer = async (request: Request): Promise<Response> => {
    const asks = request.method === "OPTIONS" && request.headers.has("access-control-request-method");
    // A preflight carries no credentials; what it leads to is guarded itself.
    const { token: _, ...open } = settings;
    guard(request, asks ? open : settings);
    if (asks) return preflight(request, settings);
    const url = new URL(request.url);
    const match = matchRoute(request.method, url.pathname);
    switch (match.type) {
      case "none":
        throw new HttpError(404, `there is no ${request.method} ${url.pathname}`);
      case "method":
        throw new HttpError(405, `${url.pathname} does not take ${request.method}`, {
          allow: match.allow.join(", "),
        });
      case "action":
        throw new HttpError(
          400,
          match.action === null ? "Missing action, as :stop" : `Unknown action: ${match.action}`,
        );
      case "route": {
        const { name, params } = match;
        if ("extension" in ROUTES[name] && !settings.extensions) {
          throw new HttpError(404, `there is no ${request.method} ${url.pathname}`);
        }
        return HANDLERS[name]({ backend, request, url, params, settings });
      }
    }
  };

  const handle = async (input: Request | URL | string, init?: RequestInit) => {
    const request = input instanceof Request && !init ? input : new Request(input, init);
    const response = await answer(request).catch(refuse);
    for (const [name, value] of Object.entries(corsHeaders(request, settings))) {
      response.headers.set(name, value);
    }
    return response;
  };
  return Object.assign(handle, {
    upgrade: (request: Request) => upgrade(backend, request, settings).catch(refuse),
  });
}
