import type { Connection } from "../backend/backend.js";
import { isBoxRunError } from "../backend/errors.js";
import { exchange, OF_CONNECTION } from "../ports/fetch.js";
import type { Body } from "../ports/request-body.js";
import { lengthOf } from "../util/http-syntax.js";
import { hostOf } from "./guard.js";
import type { Preview } from "./previews.js";

/** Headers that are meant for the next hop alone, beside those of a connection. */
const OF_HOP = [...OF_CONNECTION, "expect", "proxy-authenticate", "proxy-authorization", "proxy-connection"];
/** Seconds after which the page of a port that is closed asks again. */
const REFRESH_S = 1;

/** Makes a connection to the port of a preview. */
export type Connect = (options: { signal?: AbortSignal }) => Promise<Connection>;

/** Passes a request on to the server in the box, and its answer back. Never rejects for what that server does. */
export async function answerPreview(preview: Preview, connect: Connect, request: Request): Promise<Response> {
  const { port, life } = preview;
  const signal = AbortSignal.any([request.signal, life.signal]);
  try {
    const { response } = await exchange(
      connect,
      {
        method: request.method,
        url: addressOf(request, port),
        headers: forwarded(request, port),
        body: bodyOf(request),
        redirect: "manual",
        signal,
      },
      { inflate: false },
    );
    rewrite(response.headers, request, port);
    return response;
  } catch (error) {
    return failurePage(error, port);
  }
}

/** Returns the address of a request within the box. */
export function addressOf(request: Request, port: number): URL {
  const { pathname, search } = new URL(request.url);
  return new URL(`http://localhost:${port}${pathname}${search}`);
}

/** Returns the headers that the server in the box gets: as if its page were on the box's own localhost. */
export function forwarded(request: Request, port: number): Headers {
  const headers = withoutHop(new Headers(request.headers));
  const origin = headers.get("origin");
  if (origin !== null && URL.canParse(origin) && new URL(origin).host === hostOf(request))
    headers.set("origin", `http://localhost:${port}`);
  return headers;
}

function bodyOf({ body, headers }: Request): Body | undefined {
  if (!body) return undefined;
  const length = headers.has("transfer-encoding") ? undefined : lengthOf(headers.get("content-length") ?? "");
  return { stream: body, type: null, ...(length !== undefined && { length }) };
}

/** Changes the headers of an answer such that it stays within the origin of its preview. */
function rewrite(headers: Headers, request: Request, port: number): void {
  if (headers.has("transfer-encoding") || headers.get("content-length")?.includes(","))
    headers.delete("content-length");
  const length = headers.get("content-length");
  withoutHop(headers);
  if (length !== null) headers.set("content-length", length);
  // It would lead a browser to another host and port.
  headers.delete("alt-svc");
  // The address has the secret, and a link to elsewhere must not tell it.
  if (!headers.has("referrer-policy")) headers.set("referrer-policy", "same-origin");
  const location = headers.get("location");
  const own = new RegExp(`^http://(?:localhost|127\\.0\\.0\\.1|\\[::1\\]):${port}(?=[/?#]|$)`, "i");
  if (location !== null) headers.set("location", location.replace(own, `//${hostOf(request)}`));
  const cookies = headers.getSetCookie();
  headers.delete("set-cookie");
  // With a domain, other previews would get the cookie.
  for (const cookie of cookies)
    headers.append("set-cookie", cookie.replace(/;\s*domain\s*(?:=[^;]*)?(?=;|$)/gi, ""));
}

function withoutHop(headers: Headers): Headers {
  const named =
    headers
      .get("connection")
      ?.split(",")
      .map((name) => name.trim()) ?? [];
  for (const name of named) if (/^[\w-]+$/.test(name)) headers.delete(name);
  for (const name of OF_HOP) headers.delete(name);
  return headers;
}

/** Answers for a server that has not: where none listens yet, with a page that asks again. */
export function failurePage(error: unknown, port: number): Response {
  const code = isBoxRunError(error) ? error.code : undefined;
  if (code === "PORT_CLOSED")
    return page(
      502,
      `Nothing listens on port ${port} of the box yet. This page looks again every second.`,
      REFRESH_S,
    );
  return page(
    502,
    `The server on port ${port} of the box did not answer in order${code ? ` (${code})` : ""}.`,
  );
}

/** Answers on a host that leads to no box. */
export function noPreview(): Response {
  return page(404, "There is no preview here: it was closed, or its box has stopped.");
}

function page(status: number, text: string, refreshS?: number): Response {
  const refresh = refreshS === undefined ? "" : `<meta http-equiv="refresh" content="${refreshS}">`;
  return new Response(
    `<!doctype html><html lang="en"><meta charset="utf-8">${refresh}<title>Preview</title><p>${text}</p></html>\n`,
    {
      status,
      headers: {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "referrer-policy": "same-origin",
      },
    },
  );
}
