import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { gzipSync } from "node:zlib";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};
/** What the demo page needs of this project; nothing else is served. */
const DEMO = ["/demo/", "/dist/browser/", "/dist/demo/", "/dist/assets/"];
/** Assets carry their hash in their name: they never change. */
const FOR_EVER = "public, max-age=31536000, immutable";

/**
 * A server of static files, for the demo, the bench and the tests: text compressed, as any host does it. The caller makes it listen, and closes it.
 * @param {URL} root a file: URL that ends in "/"
 * @param {string[]} served beginnings of the paths that are served
 */
export function serveFolder(root, served = DEMO) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/") return response.writeHead(302, { location: "/demo/" }).end();
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const known =
      served.some((prefix) => path.startsWith(prefix)) && /^(GET|HEAD)$/.test(request.method ?? "");
    const contents = known && (await readFile(new URL(`.${path}`, root)).catch(() => undefined));
    if (!contents) return response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");

    const type = TYPES[extname(path)];
    const body = type ? gzipSync(contents) : contents;
    response.writeHead(200, {
      "content-type": type ?? "application/octet-stream",
      "content-length": body.byteLength,
      "cache-control": path.startsWith("/dist/assets/") && !path.endsWith(".json") ? FOR_EVER : "no-cache",
      ...(type && { "content-encoding": "gzip" }),
    });
    server.bytesSent += body.byteLength;
    response.end(request.method === "HEAD" ? undefined : body);
  });
  /** Of all bodies so far. */
  server.bytesSent = 0;
  return server;
}
