import type { DialTarget } from "../../../network/dialer.js";
import type { Refusal } from "../http/refusal.js";
import type { Header } from "../http/requests.js";
import { haveConditions, haveCredentials, safelisted, sendable } from "./headers.js";

/** Methods that fetch refuses. */
const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i;
/** Names that lead into the network of whoever has the page open, or to the computer itself. */
const PRIVATE_NAME =
  /^[^.]+$|(?:^|\.)(?:corp|home|home\.arpa|internal|intranet|lan|local|localdomain|localhost|private)$/;
const ADDRESS = /^[\d.]+$/;
/** Number of origins of which is remembered that they answered plain headers alone, and for how long: the network may have failed as well. */
const MAX_REMEMBERED = 1000;
const REMEMBERED_MS = 60_000;
/** Advice for what a page cannot do. */
export const ANOTHER_WAY = "with local.relay, boxes of a page have connections of any kind";

/** Limits of what the boxes of a page may reach. */
export interface PageLimits {
  /** Origin of the page, which nothing in a box may reach. */
  origin: string;
  /** Whether the page may fetch nothing but https. */
  isSecure: boolean;
  /** Returns the rule of the box that denies a connection; undefined when it is allowed. */
  denialOf(target: DialTarget): string | undefined;
  /** Returns true when requests may follow redirects, which a page only sees when they have been followed. */
  mayFollow(): boolean;
}

/** A request of a program, with its body. */
export interface PageRequest {
  method: string;
  /** Path and query. */
  target: string;
  headers: readonly Header[];
  body: Uint8Array;
}

/** Puts secrets into the value of a header. Absent where a server may get none. */
export type Rewrite = (header: Header) => string;

/** Sends requests by the page's fetch, with nothing of the page in them: no cookies, no referrer, no cache. */
export class PageFetch {
  /** Origins that answered safelisted headers alone, with the time of that, oldest first. */
  private readonly plainSince = new Map<string, number>();

  constructor(private readonly limits: PageLimits) {}

  /** Returns the origin that a connection leads to, or the reason why there is none in a page. */
  originOf({ host, port }: DialTarget): string | { refusal: string } {
    const scheme = port === 443 ? "https" : port === 80 ? "http" : undefined;
    if (!scheme) return { refusal: "a page reaches ports 80 and 443 alone, and others by local.relay" };
    if (PRIVATE_NAME.test(host) && !ADDRESS.test(host))
      return { refusal: "a page reaches public names alone" };
    const url = new URL(`${this.limits.isSecure ? "https" : scheme}://${host}`);
    // "0x7f.1" is an address to fetch.
    if (url.hostname !== host) return { refusal: "not a name or an address" };
    if (url.origin === this.limits.origin) return { refusal: "the page's own origin" };
    return url.origin;
  }

  /** Sends a request. Resolves to the answer, or to the reason why there is none. Rejects with the signal's reason. */
  async send(
    origin: string,
    request: PageRequest,
    rewrite: Rewrite | undefined,
    signal: AbortSignal,
  ): Promise<Response | Refusal> {
    const { method, target, body } = request;
    if (FORBIDDEN_METHOD.test(method) || target === "*")
      return { status: 501, message: `a page cannot send ${method} ${target}. Instead, ${ANOTHER_WAY}` };
    const isRead = method === "GET" || method === "HEAD";
    if (isRead && body.byteLength > 0)
      return { status: 501, message: `a page cannot send a body with ${method}. Instead, ${ANOTHER_WAY}` };
    const url = new URL(origin + target);
    // A page of https reaches port 443 for a program that has dialed 80, and the rules may deny that one alone.
    const goal = targetOf(url);
    const denial = this.limits.denialOf(goal);
    if (denial !== undefined) {
      const place = `${goal.host} port ${goal.port}`;
      return { status: 403, message: `the page's fetch goes to ${place}, which is denied: ${denial}` };
    }
    const headers = sendable(request.headers);
    const written = headers.map((header) => ({ ...header, value: rewrite?.(header) ?? header.value }));
    const hasSecrets = written.some(({ value }, i) => value !== headers[i]!.value);
    // Where a redirect leads would get the secret, too.
    const mayFollow = !hasSecrets && this.limits.mayFollow();
    const init = {
      method,
      signal,
      redirect: mayFollow ? "follow" : "manual",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      cache: "no-store",
      ...(body.byteLength > 0 && { body: body as Uint8Array<ArrayBuffer> }),
    } as const;
    const needsAll = !isRead || haveCredentials(headers) || haveConditions(headers);
    const plain = needsAll ? headers : safelisted(headers);
    let response: Response;
    try {
      response = await this.fetchWith(url, init, written, plain.length < headers.length ? plain : undefined);
    } catch (error) {
      if (signal.aborted) throw error;
      const why = "The site does not allow pages to read it (CORS), or it cannot be reached";
      return {
        status: 502,
        message: `no answer from ${origin} by the page's fetch. ${why}. Instead, ${ANOTHER_WAY}`,
      };
    }
    const refusal = this.refusalOf(response, origin, hasSecrets);
    if (refusal) response.body?.cancel().catch(() => {});
    return refusal ?? response;
  }

  /** Fetches with these headers; or, if that fails, with the plain ones, where there are any. */
  private async fetchWith(
    url: URL,
    init: RequestInit,
    headers: readonly Header[],
    plain: readonly Header[] | undefined,
  ): Promise<Response> {
    if (!plain) return fetch(url, { ...init, headers: headersOf(headers) });
    const since = this.plainSince.get(url.origin);
    const isKnown = since !== undefined && performance.now() - since < REMEMBERED_MS;
    if (!isKnown) {
      try {
        return await fetch(url, { ...init, headers: headersOf(headers) });
      } catch (error) {
        if (init.signal?.aborted) throw error;
      }
    }
    const response = await fetch(url, { ...init, headers: headersOf(plain) });
    if (!isKnown) this.remember(url.origin);
    return response;
  }

  private remember(origin: string): void {
    this.plainSince.delete(origin);
    this.plainSince.set(origin, performance.now());
    if (this.plainSince.size <= MAX_REMEMBERED) return;
    const [oldest] = this.plainSince.keys();
    this.plainSince.delete(oldest!);
  }

  /** Returns the reason to withhold an answer: where it came from is only known now. */
  private refusalOf(response: Response, origin: string, hasSecrets: boolean): Refusal | undefined {
    if (response.type === "opaqueredirect") {
      const why = hasSecrets ? "a request with a secret" : "a box with rules";
      const message = `${origin} redirects, and a page cannot say where to. It follows no redirects for ${why}. Instead, ${ANOTHER_WAY}`;
      return { status: 502, message };
    }
    if (!response.redirected) return undefined;
    const url = new URL(response.url);
    const target = targetOf(url);
    const end = this.originOf(target);
    const why = typeof end === "string" ? this.limits.denialOf(target) : end.refusal;
    if (why === undefined) return undefined;
    return { status: 403, message: `${origin} redirects to ${url.href}: ${why}` };
  }
}

function targetOf({ protocol, hostname, port }: URL): DialTarget {
  return { host: hostname, port: Number(port || (protocol === "https:" ? 443 : 80)) };
}

function headersOf(headers: readonly Header[]): Headers {
  const made = new Headers();
  for (const { name, value } of headers) made.append(name, value);
  return made;
}
