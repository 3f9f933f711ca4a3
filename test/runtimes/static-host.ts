import { once } from "node:events";
import { readFile } from "node:fs/promises";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".css": "text/css",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
};

/** Returns the media type of a file by its name. */
export function typeOf(file: string): string {
  return TYPES[extname(file)] ?? "application/octet-stream";
}

/** A server of this machine's. */
export interface Host {
  url: string;
  /** Ends it, and every connection to it. */
  close(): void;
}

/** Serves folders as any host of static files does: with the files' types, and no other header than the given ones. */
export function serveStatic(
  folders: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Host> {
  return listen(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const [beginning] = Object.keys(folders).filter((text) => path.startsWith(text));
    const file = beginning && join(folders[beginning] as string, path.slice(beginning.length));
    const contents = file && (await readFile(file).catch(() => undefined));
    if (!contents) return response.writeHead(404).end();
    response.writeHead(200, { ...headers, "content-type": typeOf(file) }).end(contents);
  });
}

/** Starts a server on a free port. */
export async function listen(answer: RequestListener): Promise<Host> {
  const server: Server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Answers a request. */
type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Allows pages of every origin to read the answers, and to send these headers and methods. */
export function withCors(respond: Answer, allowed?: { headers: string; methods?: string }): Answer {
  return (request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    if (request.method !== "OPTIONS") return respond(request, response);
    if (allowed) response.setHeader("access-control-allow-headers", allowed.headers);
    if (allowed?.methods) response.setHeader("access-control-allow-methods", allowed.methods);
    response.end();
  };
}
