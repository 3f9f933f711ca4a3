import { unsupported } from "../backend/errors.js";
import type { SocketRequest } from "../sockets/web-socket-types.js";
import { isInPage } from "../util/runtime.js";
import type { RemoteOptions } from "./http/options.js";

/** Options of `fetch` by which a runtime sends a request through a socket. */
type Extra = Record<string, unknown>;
interface Globals {
  Bun?: unknown;
  Deno?: { createHttpClient?: (options: object) => { close(): void } };
}

/** Creates a `fetch` that goes through a Unix socket, and a function that closes it. @throws {BoxRunError} UNSUPPORTED in runtimes without Unix sockets */
export async function openSocketFetch(
  path: string,
): Promise<Pick<RemoteOptions, "fetch" | "openSocket" | "onClose">> {
  if (isInPage()) throw unsupported("a page cannot open a Unix socket", "use baseUrl");
  const { extra, close, openSocket } = await open(path);
  const fetch = (request: Request) => globalThis.fetch(request, extra as RequestInit);
  return { fetch, openSocket: openSocket ?? refuseSocket, onClose: close };
}

async function refuseSocket(): Promise<never> {
  throw unsupported("terminals over a Unix socket work in Node only", "let the server listen on a port, too");
}

async function open(
  path: string,
): Promise<{ extra: Extra; close: () => void; openSocket?: RemoteOptions["openSocket"] }> {
  const { Bun, Deno } = globalThis as Globals;
  if (Bun !== undefined) return { extra: { unix: path }, close: () => {} };
  if (Deno?.createHttpClient) {
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    return { extra: { client }, close: () => client.close() };
  }
  const { openAgent, openWebSocket } = await import("boxrun/unix-agent");
  const { dispatcher, close } = openAgent(path);
  const openSocket = async ({ url, ...request }: SocketRequest) =>
    openWebSocket(url, { ...request, socketPath: path });
  return { extra: { dispatcher }, close, openSocket };
}
