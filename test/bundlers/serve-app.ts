import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { listen, typeOf } from "../runtimes/static-host.js";
import type { Served } from "./apps.js";

/** Serves a folder as hosts of single-page applications do: a path that is no file is the page. */
export function serveApp(folder: string): Promise<Served> {
  return listen(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const page = { path: "index.html", contents: await readFile(join(folder, "index.html")) };
    const contents = await readFile(join(folder, pathname)).catch(() => undefined);
    const file = contents ? { path: pathname, contents } : page;
    response.setHeader("content-type", typeOf(file.path));
    response.end(file.contents);
  });
}
