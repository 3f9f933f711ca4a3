import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};
/** What a page needs of this project; nothing else is served. */
const SERVED = ["/demo/", "/dist/browser/", "/dist/demo/", "/dist/assets/"];
/** Assets carry their hash in their name: they never change. */
const FOR_EVER = "public, max-age=31536000, immutable";

/**
 * A server of static files, for the demo, the bench and the tests. The caller makes it listen, and closes it.
 * @param {URL} root a file: URL that ends in "/"
 */
export function serveFolder(root) {
  return createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const file = SERVED.some((prefix) => path.startsWith(prefix)) ? new URL(`.${path}`, root) : undefined;
    const found = file && (await stat(fileURLToPath(file)).catch(() => undefined));
    if (!file || !found?.isFile() || (request.method !== "GET" && request.method !== "HEAD")) {
      const code = pathname === "/" ? 302 : 404;
      response.writeHead(code, code === 302 ? { location: "/demo/" } : { "content-type": "text/plain" });
      return response.end(code === 404 ? "not found\n" : undefined);
    }
    response.writeHead(200, {
      "content-type": TYPES[extname(file.pathname)] ?? "application/octet-stream",
      "content-length": found.size,
      "cache-control": path.startsWith("/dist/assets/") && !path.endsWith(".json") ? FOR_EVER : "no-cache",
    });
    if (request.method === "HEAD") return response.end();
    createReadStream(fileURLToPath(file)).pipe(response);
  });
}
