import type { Backend } from "../backend/backend.js";
import { matchRoute, ROUTES } from "../contract/routes.js";
import { corsHeaders, guard, preflight, previewLabel } from "./guard.js";
import { errorResponse, HttpError } from "./http-error.js";
import { type HandlerOptions, requireBackend, settingsOf } from "./options.js";
import { answerPreview, noPreview } from "./preview-request.js";
import { upgradePreview } from "./preview-socket.js";
import { Previews } from "./previews.js";
import { isRelayPath, notForHttp, openRelay } from "./relay-upgrade.js";
import { HANDLERS } from "./routes.js";
import { type Upgrade, upgrade } from "./upgrade.js";

/** The handler that {@link createHandler} returns. */
export interface Handler {
  /** Answers a request. Takes the arguments of `fetch`, and never rejects. */
  (input: Request | URL | string, init?: RequestInit): Promise<Response>;
  /**
   * Checks a request for a WebSocket, `GET .../attach`. Resolves to a response that refuses it, or to an {@link Upgrade} for a host that can accept WebSockets,
   * each in its own way. Never rejects.
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
 * Creates a handler that serves a backend as the BoxRun HTTP API: for any server that works with `Request` and `Response`, for a Service Worker, or for a test
 * that passes it to a client as its `fetch`. Errors become responses. Closing the backend is up to the caller.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when the first argument is not a backend, an option has an unknown name, or the token is empty or not visible ASCII
 *
 * @example
 * const handler = createHandler(createLocalBackend());
 * const client = new BoxRunClient({ baseUrl: "http://boxrun.internal", fetch: handler });
 */
export function createHandler(backend: Backend, options: HandlerOptions = {}): Handler {
  requireBackend(backend);
  const settings = settingsOf(options);
  const previews = new Previews(backend, settings.previewDomain);
  const relay = settings.relay && openRelay(settings.relay, settings);
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
        throw new HttpError(404, `there is no route ${request.method} ${url.pathname}`);
      case "method":
        throw new HttpError(405, `${url.pathname} does not accept ${request.method}`, {
          allow: match.allow.join(", "),
        });
      case "action":
        throw new HttpError(
          400,
          match.action === null ? "Missing action, such as :stop" : `Unknown action: ${match.action}`,
        );
      case "route": {
        const { name, params } = match;
        if ("extension" in ROUTES[name] && !settings.extensions) {
          throw new HttpError(404, `there is no route ${request.method} ${url.pathname}`);
        }
        return HANDLERS[name]({ backend, request, url, params, settings, previews });
      }
    }
  };

  const show = async (label: string, request: Request): Promise<Response> => {
    const preview = await previews.find(label);
    return preview ? answerPreview(preview, previews.connectTo(preview), request) : noPreview();
  };

  const join = async (label: string, request: Request): Promise<Response | Upgrade> => {
    const preview = await previews.find(label);
    return preview ? upgradePreview(preview, previews.connectTo(preview), request) : noPreview();
  };

  const handle = async (input: Request | URL | string, init?: RequestInit) => {
    const request = input instanceof Request && !init ? input : new Request(input, init);
    const label = previewLabel(request, settings);
    if (label !== undefined) return show(label, request).catch(refuse);
    if (relay && isRelayPath(request)) return refuse(notForHttp());
    const response = await answer(request).catch(refuse);
    for (const [name, value] of Object.entries(corsHeaders(request, settings))) {
      response.headers.set(name, value);
    }
    return response;
  };
  return Object.assign(handle, {
    upgrade: async (request: Request) => {
      const label = previewLabel(request, settings);
      if (label === undefined && relay && isRelayPath(request)) return relay.upgrade(request).catch(refuse);
      if (label === undefined) return upgrade(backend, request, settings).catch(refuse);
      return join(label, request).catch(refuse);
    },
  });
}
