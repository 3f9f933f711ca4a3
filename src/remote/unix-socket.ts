import { unsupported } from "../errors.js";
import type { RemoteOptions } from "./options.js";
import { isInPage } from "./runtime.js";

/** What a runtime needs beside the request, to send it through a socket. */
type Extra = Record<string, unknown>;
interface Globals {
  Bun?: unknown;
  Deno?: { createHttpClient?: (options: object) => { close(): void } };
}

/** A `fetch` that goes through a Unix socket, and what closes it. UNSUPPORTED where there are none. */
export async function openSocketFetch(path: string): Promise<Pick<RemoteOptions, "fetch" | "onClose">> {
  if (isInPage()) throw unsupported("a page cannot open a Unix socket", "use baseUrl");
  const { extra, close } = await open(path);
  return { fetch: (request) => globalThis.fetch(request, extra as RequestInit), onClose: close };
}

async function open(path: string): Promise<{ extra: Extra; close: () => void }> {
  const { Bun, Deno } = globalThis as Globals;
  if (Bun !== undefined) return { extra: { unix: path }, close: () => {} };
  if (Deno?.createHttpClient) {
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    return { extra: { client }, close: () => client.close() };
  }
  const { openAgent } = await import("boxrun/unix-agent");
  const { dispatcher, close } = openAgent(path);
  return { extra: { dispatcher }, close };
}
