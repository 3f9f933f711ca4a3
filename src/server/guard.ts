import { isToken } from "../contract/token.js";
import { HttpError } from "./http-error.js";
import type { Settings } from "./options.js";

/** Advice for people who run both the page and its server. Nobody else can act on it. */
const ADVICE =
  "a proxy before it must keep the Host header, as with changeOrigin: false; other origins need the server's option allowOrigins, or --allow-origin";

/**
 * Refuses requests that a foreign web page can make a browser send. Any page can send simple requests to a loopback port, and whoever controls a name can point
 * it there. So the Host must be one of ours, and the Origin must be that of the Host or an allowed one, whatever the method.
 */
export function guard(request: Request, settings: Settings): void {
  const host = hostOf(request);
  const name = hostName(host);
  if (settings.hosts && !settings.hosts.includes(name)) {
    throw new HttpError(403, `the host ${JSON.stringify(name)} is not allowed`);
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
    const why = request.headers.has("authorization") ? "wrong token" : "a bearer token is required";
    throw new HttpError(401, why, { "www-authenticate": "Bearer" });
  }
}

/** Returns the host of a request, with its port. Over HTTP the header has the name that the client used; an in-process request only has its URL. */
export function hostOf(request: Request): string {
  return request.headers.get("host") ?? new URL(request.url).host;
}

/**
 * Returns the label of a preview's host: what stands before the domain of previews. Undefined for every other host, whose requests are for the API. A host of the
 * domain never gets to the API, whether it is one of a preview or not, unless it is among those that the server was given.
 */
export function previewLabel(request: Request, { previewDomain, hosts }: Settings): string | undefined {
  const name = hostName(hostOf(request));
  if (previewDomain === undefined || !name.endsWith(`.${previewDomain}`) || hosts?.includes(name))
    return undefined;
  return name.slice(0, -previewDomain.length - 1);
}

/** Returns the headers that let a page of another origin read the response; none for origins that are not allowed. */
export function corsHeaders(request: Request, settings: Settings): Record<string, string> {
  const origin = request.headers.get("origin");
  if (origin === null || !settings.allowOrigins.includes(origin)) return {};
  return { "access-control-allow-origin": origin, vary: "origin" };
}

/** Answers a browser's preflight request. */
export function preflight(request: Request, settings: Settings): Response {
  const headers = request.headers.get("access-control-request-headers");
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders(request, settings),
      "access-control-allow-methods": "GET, POST, PUT, DELETE",
      ...(headers !== null && { "access-control-allow-headers": headers }),
      "access-control-max-age": "600",
    },
  });
}

/** Removes the port of a host; IPv6 addresses keep their brackets. */
function hostName(host: string): string {
  return host.replace(/:\d*$/, "").toLowerCase();
}

/** Returns the host of an origin; undefined for "null" and for text that is not a URL. */
function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** Returns the request with a token as its header, as {@link guard} wants it. */
export function withToken(request: Request, token: string | undefined): Request {
  if (token === undefined || !isToken(token)) return request;
  const headers = new Headers(request.headers);
  headers.set("authorization", `Bearer ${token}`);
  return new Request(request.url, { headers });
}

/** Compares the token in constant time, wherever the first difference is. */
function hasToken(request: Request, token: string): boolean {
  const encoder = new TextEncoder();
  const given = encoder.encode(request.headers.get("authorization") ?? "");
  const wanted = encoder.encode(`Bearer ${token}`);
  let difference = given.byteLength ^ wanted.byteLength;
  for (const [i, byte] of wanted.entries()) difference |= byte ^ (given[i] ?? 0);
  return difference === 0;
}
