import { readFile, stat } from "node:fs/promises";
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
    // "//" is a path, and no URL: what is thrown here would end the process.
    const { pathname } = new URL(`http://localhost${request.url?.startsWith("/") ? request.url : "/"}`);
    if (pathname === "/") return response.writeHead(302, { location: "/demo/" }).end();
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const known =
      served.some((prefix) => path.startsWith(prefix)) && /^(GET|HEAD)$/.test(request.method ?? "");
    const file = known ? await load(new URL(`.${path}`, root)).catch(() => undefined) : undefined;
    if (!file) return response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");

    const headers = {
      etag: file.etag,
      // The worker's script lies below the page that it serves.
      "service-worker-allowed": "/",
      "cache-control": path.startsWith("/dist/assets/") && !path.endsWith(".json") ? FOR_EVER : "no-cache",
    };
    if (request.headers["if-none-match"] === file.etag) return response.writeHead(304, headers).end();
    const type = TYPES[extname(path)];
    response.writeHead(200, {
      ...headers,
      "content-type": type ?? "application/octet-stream",
      "content-length": file.body.byteLength,
      ...(type && { "content-encoding": "gzip" }),
    });
    server.bytesSent += file.body.byteLength;
    response.end(request.method === "HEAD" ? undefined : file.body);
  });
  /** Of all bodies so far. */
  server.bytesSent = 0;
  return server;
}

/** Files as they go over the wire, kept until they change. */
const loaded = new Map();

async function load(url) {
  const { mtimeMs, size } = await stat(url);
  const etag = `"${size}-${mtimeMs}"`;
  const known = loaded.get(url.href);
  if (known?.etag === etag) return known;
  const contents = await readFile(url);
  const file = { etag, body: TYPES[extname(url.pathname)] ? gzipSync(contents) : contents };
  loaded.set(url.href, file);
  return file;
}
