import { afterAll, beforeAll, beforeEach, vi } from "vitest";
import { FetchDialer, type FetchDialerOptions } from "../../../../src/local/network/gateway/fetch-dialer.js";
import { SecretGateway } from "../../../../src/local/network/secrets/secret-gateway.js";
import type { Dialer } from "../../../../src/network/dialer.js";
import { textOf } from "../connections.js";
import { type Front, openFront } from "../front.js";

export const NAME = "api.example.com";
export const VALUE = "sk-the-real-value";
export const signal: AbortSignal = new AbortController().signal;

export interface Asked {
  url: string;
  init: RequestInit & { headers: Headers; body?: Uint8Array };
}

/** A page with a fake fetch, and the dialer of its boxes. Each test has a new one. */
interface Page {
  /** Requests that the fetch was asked for. */
  asked: Asked[];
  /** Returns the answer of the fetch. */
  answer(asked: Asked): Response | Promise<Response>;
  options: FetchDialerOptions;
  dialer: FetchDialer;
  /** Authority of the box, and its secret KEY with {@link VALUE} for {@link NAME}. */
  gateway: SecretGateway;
  front: Front;
}

/** Returns the page of the tests of this file. */
export function usePage(): Page {
  const page = {} as Page;
  beforeAll(async () => {
    page.gateway = await SecretGateway.open({ KEY: { value: VALUE, hosts: [NAME] } });
    page.front = await openFront(NAME, page.gateway.pem, () => page.dialer);
  });
  afterAll(() => page.front?.close());
  beforeEach(() => {
    page.asked = [];
    page.answer = () => new Response("hello");
    vi.stubGlobal("fetch", async (url: URL, init: Asked["init"]) => {
      const asked = { url: url.href, init };
      page.asked.push(asked);
      return page.answer(asked);
    });
    page.options = {
      authority: page.gateway.authority,
      rewriter: (host) => page.gateway.rewriter(host),
      origin: "http://page.example",
      isSecure: false,
      denialOf: () => undefined,
      mayFollow: () => true,
    };
    page.dialer = new FetchDialer(page.options);
    return () => vi.unstubAllGlobals();
  });
  return page;
}

/** Sends bytes to port 80 by a dialer, ends this side, and returns all that comes back. */
export async function exchange(dialer: Dialer, text: string, host = NAME): Promise<string> {
  const connection = await dialer.connect({ host, port: 80 }, { signal });
  const writer = connection.writable.getWriter();
  writer
    .write(Buffer.from(text, "latin1"))
    .then(() => writer.close())
    .catch(() => {});
  return textOf(connection);
}

export const headersOf = ({ init }: Asked) => Object.fromEntries(init.headers);

/** Returns the head of a request. */
export const lines = (...all: string[]) => [...all, "", ""].join("\r\n");
