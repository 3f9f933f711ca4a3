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
/** The demo page as `boxrun site` lays it out: where each of its folders is in this project. Nothing else is served. */
export const SITE = { "/": "dist/site/", "/browser/": "dist/browser/", "/assets/": "dist/assets/" };
/** The files of an origin for previews, as `boxrun preview` lays them out for pages of this machine. */
export const PREVIEW = { "/": "dist/preview/" };
/** Assets carry their hash in their name: they never change. */
const FOR_EVER = "public, max-age=31536000, immutable";

/**
 * A server of static files, for the demo, the bench and the tests: text compressed, as any host does it. The caller makes it listen, and closes it.
 * @param {URL} root a file: URL that ends in "/"
 * @param {Record<string, string>} folders the folders that are served, below `root`, by the beginnings of their paths; all of them end in "/"
 * @param {Record<string, string>} [texts] JSON that is served in place of files, by paths
 */
export function serveFolder(root, folders, texts = {}) {
  // The longest beginning that fits is meant.
  const beginnings = Object.keys(folders).sort((a, b) => b.length - a.length);
  const server = createServer(async (request, response) => {
    // What is no path would throw here, and end the process.
    const { pathname } = new URL(
      `http://localhost${/^\/(?!\/)/.test(request.url ?? "") ? request.url : "/404"}`,
    );
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const text = texts[path];
    if (text !== undefined)
      return response
        .writeHead(200, { "content-type": TYPES[".json"], "cache-control": "no-cache" })
        .end(text);
    const beginning = beginnings.find((text) => path.startsWith(text));
    const known = beginning !== undefined && /^(GET|HEAD)$/.test(request.method ?? "");
    const place = known && `./${folders[beginning]}${path.slice(beginning.length)}`;
    const file = place ? await load(new URL(place, root)).catch(() => undefined) : undefined;
    if (!file) return response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");

    const headers = {
      etag: file.etag,
      "cache-control": beginning?.endsWith("/assets/") && /\.(bin|js)$/.test(path) ? FOR_EVER : "no-cache",
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
