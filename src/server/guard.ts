import { HttpError } from "./http-error.js";
import type { Settings } from "./options.js";

/** Whoever runs a page and its server can do either; any other page neither. */
const ADVICE =
  "a proxy before it must keep the Host header, as changeOrigin: false does; pages of other origins need its option allowOrigins, --allow-origin";

/**
 * Refuses what a web page of somebody else could make a browser send. Any page may send simple requests to a loopback port, and whoever controls a name may point it
 * there: so the Host must be one of ours, and an Origin the same as the Host's or an allowed one, whatever the method.
 */
export function guard(request: Request, settings: Settings): void {
  const url = new URL(request.url);
  // In HTTP the header is what the client named; a request made in-process only has its URL.
  const host = request.headers.get("host") ?? url.host;
  const name = hostName(host);
  if (settings.hosts && !settings.hosts.includes(name)) {
    throw new HttpError(403, `this server is not ${JSON.stringify(name)}`);
  }
  const origin = request.headers.get("origin");
  const site = request.headers.get("sec-fetch-site");
  const foreign =
    origin === null
      ? site === "cross-site" || site === "same-site"
      : originHost(origin) !== host && !settings.allowOrigins.includes(origin);
  if (foreign) {
    throw new HttpError(403, `pages of ${origin ?? "another site"} may not use this server (${ADVICE})`);
  }
  if (settings.token !== undefined && !hasToken(request, settings.token)) {
    const why = request.headers.has("authorization") ? "this is not the token" : "a bearer token is needed";
    throw new HttpError(401, why, { "www-authenticate": "Bearer" });
  }
}

/** What lets a page of another origin read the answer; empty for all others. */
export function corsHeaders(request: Request, settings: Settings): Record<string, string> {
  const origin = request.headers.get("origin");
  if (origin === null || !settings.allowOrigins.includes(origin)) return {};
  return { "access-control-allow-origin": origin, vary: "origin" };
}

/** The answer to a browser that asks before it sends. */
export function preflight(request: Request, settings: Settings): Response {
  const headers = request.headers.get("access-control-request-headers");
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders(request, settings),
      "access-control-allow-methods": "GET, POST, DELETE",
      ...(headers !== null && { "access-control-allow-headers": headers }),
      "access-control-max-age": "600",
    },
  });
}

/** Without the port; IPv6 addresses keep their brackets. */
function hostName(host: string): string {
  return host.replace(/:\d*$/, "").toLowerCase();
}

/** Undefined for "null" and for what is no URL. */
function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** Takes the same time whatever the first difference is. */
function hasToken(request: Request, token: string): boolean {
  const encoder = new TextEncoder();
  const given = encoder.encode(request.headers.get("authorization") ?? "");
  const wanted = encoder.encode(`Bearer ${token}`);
  let difference = given.byteLength ^ wanted.byteLength;
  for (const [i, byte] of wanted.entries()) difference |= byte ^ (given[i] ?? 0);
  return difference === 0;
}
