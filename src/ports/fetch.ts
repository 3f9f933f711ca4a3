import type { Connection } from "../backend/backend.js";
import { BoxRunError, invalid } from "../backend/errors.js";
import { requirePort } from "../backend/ports.js";
import { requireObject, requireOptions, requireSignal, shown } from "../backend/validate.js";
import { whenAborted } from "../util/abort.js";
import { isToken } from "../util/http-syntax.js";
import { type Head, readerOf, readHead } from "./head.js";
import { type Body, bodyOf, bodyOfRequest, sendBody } from "./request-body.js";
import { responseBody } from "./response-body.js";

const MAX_REDIRECTS = 20;
const REDIRECTS = [301, 302, 303, 307, 308];
/** Statuses without a body. The constructor of Response refuses one for most of them. */
const EMPTY = [204, 205, 304];
/** Headers of a connection, which are ours. */
export const OF_CONNECTION = [
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

const SCHEMES = ["http:", "https:", "ws:", "wss:"];
/** Options of `fetch`, those among them that have no meaning here. A misspelt one would be ignored. */
const INIT = Object.fromEntries(
  (
    "method headers body redirect signal duplex cache credentials integrity keepalive mode priority referrer " +
    "referrerPolicy window dispatcher"
  )
    .split(" ")
    .map((name) => [name, true as const]),
);

/** Makes a connection to the port. */
type Connect = (options: { signal?: AbortSignal }) => Promise<Connection>;

/** A request as it is sent. */
export interface Outgoing {
  method: string;
  url: URL;
  headers: Headers;
  body: Body | undefined;
  redirect: RequestRedirect;
  signal: AbortSignal | undefined;
}

/** Sends a request to a port of a box. Implements `BoxHandle.fetch`, which documents it. */
export async function fetchPort(
  connect: Connect,
  port: number,
  input: string | URL | Request,
  init: RequestInit = {},
): Promise<Response> {
  try {
    return await follow(connect, port, input, init);
  } catch (error) {
    // The source of a body that is not read any more must not be kept waiting.
    const body = init?.body ?? (input instanceof Request ? input.body : undefined);
    if (body instanceof ReadableStream && !body.locked) body.cancel(error).catch(() => {});
    throw error;
  }
}

/** Sends a request, and those that redirects ask for. */
async function follow(
  connect: Connect,
  port: number,
  input: string | URL | Request,
  init: RequestInit,
): Promise<Response> {
  let request = await outgoing(port, input, init);
  for (let redirects = 0; ; redirects++) {
    const { response, head } = await exchange(connect, request, { inflate: true });
    const location = head.headers.get("location");
    const isRedirect = REDIRECTS.includes(head.status) && location !== null;
    if (redirects > 0) Object.defineProperty(response, "redirected", { value: true });
    if (!isRedirect || request.redirect === "manual") return response;
    const next = redirected(request, head.status, location);
    if (!next) return response;
    await response.body?.cancel();
    if (request.redirect === "error")
      throw new BoxRunError("PROTOCOL_ERROR", "the server redirects the request");
    if (redirects === MAX_REDIRECTS)
      throw new BoxRunError("PROTOCOL_ERROR", `the server redirects more than ${MAX_REDIRECTS} times`);
    request = next;
  }
}

/** Checks a request and writes it as it is sent. @throws {BoxRunError} VALIDATION_ERROR when a part of it is wrong */
export async function outgoing(
  port: number,
  input: string | URL | Request,
  init: RequestInit,
): Promise<Outgoing> {
  requirePort(port);
  requireObject(init, "the options are those of fetch");
  requireOptions<object>({ ...init, signal: init.signal ?? undefined }, INIT);
  const given = input instanceof Request ? input : undefined;
  const url = urlOf(port, given?.url ?? input);
  const method = (init.method ?? given?.method ?? "GET").toUpperCase();
  if (!isToken(method) || method === "CONNECT")
    throw invalid(`method must be an HTTP method, got ${JSON.stringify(method)}`);
  const signal = init.signal ?? given?.signal;
  requireSignal(signal);
  signal?.throwIfAborted();
  const headers = headersOf(init.headers ?? given?.headers);
  const body =
    given && (init.body ?? undefined) === undefined ? await bodyOfRequest(given) : await bodyOf(init.body);
  if (body && (method === "GET" || method === "HEAD")) throw invalid(`${method} cannot have a body`);
  if (body?.type && !headers.has("content-type")) headers.set("content-type", body.type);
  for (const name of OF_CONNECTION) headers.delete(name);
  if (!headers.has("accept")) headers.set("accept", "*/*");
  return { method, url, headers, body, redirect: init.redirect ?? given?.redirect ?? "follow", signal };
}

function headersOf(given: RequestInit["headers"]): Headers {
  try {
    return new Headers(given);
  } catch {
    // Which one is not said: it may be a secret.
    throw invalid("headers must be names and values that HTTP permits");
  }
}

/** Returns the address of a path on a port; the host of a whole address is not used. */
function urlOf(port: number, input: unknown): URL {
  if (typeof input !== "string" && !(input instanceof URL))
    throw invalid(`path must be a string, a URL or a Request, got ${shown(input)}`);
  const base = `http://localhost:${port}`;
  let url: URL;
  try {
    url = new URL(input, `${base}/`);
  } catch {
    throw invalid(`${JSON.stringify(input)} is neither a path nor a URL`);
  }
  if (!SCHEMES.includes(url.protocol)) throw invalid(`path must be one of HTTP, got ${url.protocol}`);
  return new URL(`${base}${url.pathname}${url.search}`);
}

/** Returns the request that a redirect asks for, by the rules of fetch; undefined when it leads elsewhere, or its body is gone. */
function redirected(request: Outgoing, status: number, location: string): Outgoing | undefined {
  let url: URL;
  try {
    url = new URL(location, request.url);
  } catch {
    return undefined;
  }
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname) && url.port === request.url.port;
  if (!isHere || url.protocol !== "http:") return undefined;
  url.hostname = "localhost";
  const { method } = request;
  const isGet = (status === 303 && method !== "HEAD") || (status <= 302 && method === "POST");
  if (!isGet) return request.body?.stream ? undefined : { ...request, url };
  const headers = new Headers(request.headers);
  for (const name of ["content-encoding", "content-language", "content-location", "content-type"])
    headers.delete(name);
  return { ...request, url, method: "GET", headers, body: undefined };
}

/**
 * Sends one request and reads the head of its answer. The connection ends with the answer's body. With `inflate`, a body that is compressed is inflated; without,
 * it is as the server sent it.
 */
export async function exchange(
  connect: Connect,
  request: Outgoing,
  { inflate }: { inflate: boolean },
): Promise<{ response: Response; head: Head }> {
  const { signal, body } = request;
  const connection = await connect(signal ? { signal } : {}).catch((error) => {
    // Nobody will read it.
    body?.stream?.cancel(error).catch(() => {});
    throw error;
  });
  const reader = readerOf(connection.readable);
  const source = body?.stream?.getReader();
  const finish = () => {
    ignoreSignal();
    void connection.close();
    // It may be waiting for what never comes.
    source?.cancel().catch(() => {});
  };
  const ignoreSignal = whenAborted(signal, finish);
  try {
    const writer = connection.writable.getWriter();
    await writer.write(headOf(request));
    // A server may answer before it has read everything, and never read the rest.
    const sent = sendBody(writer, body, source);
    sent.catch(() => {});
    const head = await Promise.race([readHead(reader), sent.then(() => new Promise<never>(() => {}))]);
    const hasBody = request.method !== "HEAD" && !EMPTY.includes(head.status);
    const stream = hasBody ? responseBody(reader, head.headers, { finish, signal, inflate }) : null;
    if (!stream) finish();
    return { response: responseOf(request.url, head, stream), head };
  } catch (error) {
    finish();
    if (signal?.aborted) throw signal.reason;
    throw error;
  }
}

/** Writes the head of a request. */
export function headOf({ method, url, headers, body }: Outgoing, connection = "close"): Uint8Array {
  const lines = [
    `${method} ${url.pathname}${url.search} HTTP/1.1`,
    `host: ${url.host}`,
    `connection: ${connection}`,
  ];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (body?.stream && body.length === undefined) lines.push("transfer-encoding: chunked");
  else if (body || method === "POST" || method === "PUT")
    lines.push(`content-length: ${body?.length ?? body?.bytes?.byteLength ?? 0}`);
  return Uint8Array.from(`${lines.join("\r\n")}\r\n\r\n`, (char) => char.charCodeAt(0));
}

function responseOf(
  url: URL,
  { status, statusText, headers }: Head,
  body: ReadableStream<Uint8Array> | null,
): Response {
  let response: Response;
  try {
    response = new Response(body, { status, statusText: statusText.replace(/[^\t\x20-\x7e\x80-\xff]/g, "") });
  } catch {
    throw new BoxRunError("PROTOCOL_ERROR", `the server answered with status ${status}, which is none`);
  }
  // The constructor would drop some of them (set-cookie, in pages), and has no way to give the address.
  Object.defineProperty(response, "headers", { value: headers });
  Object.defineProperty(response, "url", { value: url.href });
  return response;
}
