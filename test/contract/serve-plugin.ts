import type { Plugin } from "vite";
import { passOn } from "./pass-on.js";
import { startServe } from "./serve.js";

/** Passes `/v1` of the page's own origin on to a server that is started for it. */
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
        passOn(baseUrl, incoming, outgoing);
      });
    },
  };
}
