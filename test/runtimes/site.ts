import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { serveFolder } from "../../demo/static-server.mjs";
import { passOn, passOnUpgrade } from "../testing/contract/pass-on.js";

const FOLDERS = {
  "/": "./",
  "/node_modules/boxrun/dist/browser/": "node_modules/boxrun/dist/browser/",
  "/node_modules/boxrun/dist/assets/": "node_modules/boxrun/dist/assets/",
};

/** Takes reports; and is the site of the page that makes them, with the server's API at its own origin. */
export async function openSite<Report>(options: {
  project: string;
  server: string | undefined;
  /** What the page gets, as they are when it asks. */
  settings: object;
  /** Called with each report before it is answered. */
  take: (report: Report) => void;
}): Promise<{ url: string; close(): void }> {
  const { project, server, settings, take } = options;
  const files = serveFolder(pathToFileURL(`${project}/`), FOLDERS);
  const site = createServer(async (request, response) => {
    const { url = "/" } = request;
    if (server && url.startsWith("/v1/")) passOn(server, request, response);
    else if (url === "/settings") response.end(JSON.stringify(settings));
    else if (url === "/report") {
      take((await json(request)) as Report);
      response.end();
    } else files.emit("request", request, response);
  });
  if (server) site.on("upgrade", (...upgrade) => passOnUpgrade(server, ...upgrade));
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  return {
    url: `http://127.0.0.1:${(site.address() as AddressInfo).port}`,
    close: () => {
      site.close();
      site.closeAllConnections();
    },
  };
}
