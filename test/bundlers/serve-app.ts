import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import type { Served } from "./apps.js";

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
};

/** Serves a folder as hosts of single-page applications do: a path that is no file is the page. */
export async function serveApp(folder: string): Promise<Served> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const page = { path: "index.html", contents: await readFile(join(folder, "index.html")) };
    const contents = await readFile(join(folder, pathname)).catch(() => undefined);
    const file = contents ? { path: pathname, contents } : page;
    response.setHeader("content-type", TYPES[extname(file.path)] ?? "application/octet-stream");
    response.end(file.contents);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
