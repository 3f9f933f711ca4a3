import { request } from "node:http";
import type { Plugin } from "vite";
import { startServe } from "./serve.js";

/** Passes `/v1` of the page's own origin on to a server that is started for it, as a user's own web server would. */
export function serveAtOwnOrigin(): Plugin {
  return {
    name: "boxrun-serve-at-own-origin",
    configureServer: (vite) => {
      let started: ReturnType<typeof startServe> | undefined;
      vite.httpServer?.once("close", () => started?.then(({ stop }) => stop()));
      vite.middlewares.use(async (incoming, outgoing, next) => {
        if (!incoming.url?.startsWith("/v1/")) return next();
        started ??= startServe();
        const { baseUrl } = await started;
        const { method, url, headers } = incoming;
        const passed = request(`${baseUrl}${url}`, { method, headers }, (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          outgoing.flushHeaders();
          answer.pipe(outgoing);
          answer.on("error", () => outgoing.destroy());
        });
        passed.on("error", () => outgoing.destroy());
        // Who hangs up here hangs up there.
        outgoing.on("close", () => passed.destroy());
        incoming.pipe(passed);
      });
    },
  };
}
