import ky, { HTTPError } from "ky";
import { invalid, isBoxRunError } from "../../backend/errors.js";
import { tokenProtocols } from "../../contract/attach-token.js";
import { ROUTES, type RouteName, routePath } from "../../contract/routes.js";
import { isToken } from "../../contract/token.js";
import { CLIENT_HEADER } from "../../contract/wire.js";
import type { WebSocketLike } from "../../sockets/web-socket-types.js";
import { untilAborted, whenAborted } from "../../util/abort.js";
import { concatBytes } from "../../util/bytes.js";
import { retryAfterMs } from "../../util/retry-after.js";
import { startTimer } from "../../util/timer.js";
import { BodyReader } from "./body-reader.js";
import { type Call, DEFAULT_RETRIES, lineOf } from "./call.js";
import { connectionFailed, errorOfResponse, protocolError, type RequestLine } from "./failures.js";
import { type Clocks, type RemoteOptions, withDefaults } from "./options.js";

const BACKOFF_MS = 300;
const MAX_BACKOFF_MS = 5000;
/** Longest pause before a retry that is waited for. If the server asks for a longer one, the caller gets the error at once. */
const MAX_RETRY_AFTER_MS = 30_000;
/** Limit far above any answer of the API that is not a stream. */
const MAX_JSON_BYTES = 64 * 2 ** 20;
const PRIVATE = /^(?:https:|http:\/\/(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?(?:\/|$))/i;
const NO_BODY_STATUS = new Set([101, 204, 205, 304]);

/** Sends requests to one server: with its headers and token, within a time limit, and again if that is safe. */
export class Sender {
  readonly clocks: Clocks;
  readonly name: string;
  /** True for servers that understand the fields which this project adds to the published API. */
  extended = false;
  private readonly base: string;

  /** Options with the token. They are private, so that printing a box or an error does not show it. */
  readonly #options: RemoteOptions;

  constructor(options: RemoteOptions) {
    this.#options = options;
    this.clocks = withDefaults(options.timeouts);
    this.base = options.baseUrl.replace(/\/+$/, "");
    this.name = options.name ?? this.base;
  }

  /** Whether nobody on the way to the server can read what is sent: it goes by TLS, or does not leave the machine. */
  get isPrivate(): boolean {
    return PRIVATE.test(this.base);
  }

  /** Resolves to a response that is no error: with its whole body, or with a body that is still to come. */
  async send(
    name: RouteName,
    call: Call,
    signal: AbortSignal,
    { whole }: { whole: boolean },
  ): Promise<Response> {
    const query = new URLSearchParams(call.query).toString();
    const url = this.base + routePath(name, call.params) + (query && `?${query}`);
    const attempt = () => this.attempt(url, name, call, signal, whole);
    const { retries = ROUTES[name].method === "GET" ? DEFAULT_RETRIES : 0 } = call;
    const response = await (retries ? this.retrying(url, retries, signal, attempt) : attempt());
    if (!response.ok) throw errorOfResponse(lineOf(name, call), response, await response.text());
    return response;
  }

  /** Begins to open a WebSocket. The token goes as a header if this runtime can send one, and as a sub-protocol to servers that know it. */
  async socket(name: RouteName, call: Call, signal: AbortSignal): Promise<WebSocketLike> {
    const headers = await untilAborted(this.headers(call, false), signal);
    const token = headers.get("authorization")?.replace(/^Bearer /, "");
    const protocols = this.extended && token !== undefined ? tokenProtocols(token) : [];
    const url = new URL(this.base + routePath(name, call.params));
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    for (const [key, value] of Object.entries(call.query ?? {})) url.searchParams.set(key, value);
    const request = { url: url.href, protocols, headers: Object.fromEntries(headers) };
    const { openSocket, WebSocket } = this.#options;
    if (openSocket) return untilAborted(openSocket(request), signal);
    const { newWebSocket } = await import("../../sockets/web-socket.js");
    return untilAborted(newWebSocket(request, WebSocket), signal);
  }

  /** Returns the pause before try number `attempt` (from 1), with jitter, so that many clients do not come back at once. */
  backoffMs(attempt: number): number {
    return (
      Math.random() * Math.min(MAX_BACKOFF_MS, (this.#options.backoffMs ?? BACKOFF_MS) * 2 ** (attempt - 1))
    );
  }

  private async retrying(
    url: string,
    limit: number,
    signal: AbortSignal,
    attempt: () => Promise<Response>,
  ): Promise<Response> {
    try {
      return await ky(url, {
        signal,
        // ky's timeout is ten seconds by default, and stops at the headers. Ours is in `attempt`.
        timeout: false,
        fetch: attempt,
        retry: {
          limit,
          // ky takes any request for a GET, even a POST: the request itself is made by `attempt`.
          methods: ["get"],
          statusCodes: [408, 425, 429, 500, 502, 503, 504],
          afterStatusCodes: [429, 503],
          maxRetryAfter: MAX_RETRY_AFTER_MS,
          delay: (attempt) => this.backoffMs(attempt),
          shouldRetry: ({ error }) => (signal.aborted || !mayPass(error) ? false : undefined),
        },
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // ky's error never becomes a cause: it holds the request, and so the token.
      if (error instanceof HTTPError) return error.response;
      throw error;
    }
  }

  /** Sends the request once. */
  private async attempt(
    url: string,
    name: RouteName,
    call: Call,
    life: AbortSignal,
    whole: boolean,
  ): Promise<Response> {
    const line = lineOf(name, call);
    const own = new AbortController();
    if (life.aborted) throw life.reason;
    // For as long as the body of the answer, too.
    whenAborted(life, (reason) => own.abort(reason));
    const withinMs = call.withinMs ?? this.clocks.requestMs;
    const stop =
      withinMs === Number.POSITIVE_INFINITY
        ? () => {}
        : startTimer(withinMs, () => own.abort(new TooLate(withinMs)));
    const body = call.body?.content ?? (call.json && JSON.stringify(call.json));
    try {
      for (let refused = false; ; refused = true) {
        const headers = await untilAborted(this.headers(call, refused), own.signal);
        const init: RequestInit = {
          method: ROUTES[name].method,
          headers,
          signal: own.signal,
          // A POST that is redirected would go on as a GET.
          redirect: "manual",
          ...(body !== undefined && { body }),
          ...(isStream(body) && { duplex: "half" }),
        };
        const response = await this.exchange(url, init, line, own.signal, whole);
        const { token } = this.#options;
        if (refused || response.status !== 401 || typeof token !== "function") return response;
        // A refused request was not carried out, so any can be sent again, unless its body is used up. The next one has the new token.
        if (isStream(body)) {
          await untilAborted(Promise.resolve(token({ refused: true })), own.signal);
          throw errorOfResponse(line, response, await response.text(), true);
        }
      }
    } catch (error) {
      if (life.aborted) throw life.reason;
      throw own.signal.aborted ? connectionFailed(line, this.name, own.signal.reason) : error;
    } finally {
      stop();
    }
  }

  private async exchange(
    url: string,
    init: RequestInit,
    line: RequestLine,
    signal: AbortSignal,
    whole: boolean,
  ): Promise<Response> {
    const { fetch } = this.#options;
    try {
      // The global `fetch` creates a request of its own in any case.
      const asked = fetch ? fetch(new Request(url, init)) : globalThis.fetch(url, init);
      const response = await untilAborted(asked, signal);
      // The body of a stream goes on after this.
      return !whole && response.ok ? response : await buffered(response, line, signal);
    } catch (error) {
      if (isBoxRunError(error) && error.code !== "STREAM_INTERRUPTED") throw error;
      throw connectionFailed(line, this.name, error);
    }
  }

  private async headers({ body, json }: Call, refused: boolean): Promise<Headers> {
    const headers = new Headers(this.#options.headers);
    if (body || json) headers.set("content-type", body?.contentType ?? "application/json");
    const { token } = this.#options;
    if (token !== undefined) {
      const value = typeof token === "function" ? await token({ refused }) : token;
      // Checked here, because the error of `Headers` would show the token.
      if (!isToken(value)) throw invalid("token must be a string of visible ASCII characters");
      headers.set("authorization", `Bearer ${value}`);
    }
    if (this.extended) headers.set(CLIENT_HEADER, "1");
    return headers;
  }
}

function isStream(body: unknown): body is ReadableStream {
  return body instanceof ReadableStream;
}

/** The error of a request that has run out of time. */
export class TooLate extends Error {
  constructor(ms: number) {
    super(`no answer within ${ms} ms`);
  }
}

/**
 * Returns true for an error that a retry may fix: a lost connection, or a status that ky retries. A timeout is not one, since the next try would time out, too.
 */
function mayPass(error: Error): boolean {
  if (error instanceof HTTPError) return (retryAfterMs(error.response) ?? 0) <= MAX_RETRY_AFTER_MS;
  return isBoxRunError(error) && error.code === "CONNECTION_FAILED" && !(error.cause instanceof TooLate);
}

/** Reads the body of a response, so that one time limit and one try cover both. */
async function buffered(response: Response, line: RequestLine, signal: AbortSignal): Promise<Response> {
  if (response.type === "opaqueredirect") return response;
  const silenceMs = 2 ** 31 - 1;
  const body = new BodyReader(response.body, { line, signal, silenceMs, onEnd: () => {} });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let chunk = await body.read(); chunk; chunk = await body.read()) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > MAX_JSON_BYTES) {
      void body.cancel();
      throw protocolError(
        `${line.method} ${line.path}: the server's answer is larger than ${MAX_JSON_BYTES} bytes`,
        line,
      );
    }
  }
  const { status, statusText, headers } = response;
  const content = NO_BODY_STATUS.has(status) ? null : (concatBytes(chunks) as Uint8Array<ArrayBuffer>);
  return new Response(content, { status, statusText, headers });
}
