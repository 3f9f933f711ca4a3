import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Launch } from "./launch.js";
import { workerd } from "./runtimes.mjs";

/** What Cloudflare promises not to change. */
const COMPATIBILITY_DATE = "2026-04-01";

/** Of Miniflare, what is used here. It is not among the package's own dependencies, so its types are not here either. */
interface Miniflare {
  readonly ready: Promise<URL>;
  dispose(): Promise<void>;
}
interface MiniflareModule {
  Miniflare: new (options: object) => Miniflare;
}

/** A workerd with one Worker: a bundle of the project's, and what it is told. */
export async function startWorker(
  project: string,
  bundle: string,
  bindings: Record<string, unknown>,
): Promise<{ url: URL; stop(): Promise<void> }> {
  const { Miniflare } = (await import(pathToFileURL(workerd.path).href)) as MiniflareModule;
  const miniflare = new Miniflare({
    modules: [
      { type: "ESModule", path: bundle, contents: readFileSync(join(project, "workerd", bundle), "utf8") },
    ],
    compatibilityDate: COMPATIBILITY_DATE,
    bindings,
  });
  return { url: await miniflare.ready, stop: () => miniflare.dispose() };
}

/** The contract in a Worker: one request that takes as long as that. */
export const inWorker: Launch = {
  start: ({ project, settings }) => {
    const starting = startWorker(project, "in-worker.js", { SETTINGS: settings });
    const run = async () => {
      const { url } = await starting;
      await (await fetch(url)).text();
    };
    return {
      ended: run().then(
        () => "with its answer",
        (error) => `by failing: ${error}`,
      ),
      stop: async () => (await starting).stop(),
    };
  },
  endsByItself: false,
};
