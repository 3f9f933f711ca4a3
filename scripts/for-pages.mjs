import { fileURLToPath } from "node:url";

const source = (/** @type {string} */ file) => fileURLToPath(new URL(`../src/${file}`, import.meta.url));

/** Modules of src that use Node, and what stands in for them in files for pages and edge functions. */
const REPLACED = [
  { filter: /^boxrun\/unix-agent$/, path: source("sockets/unix-agent-browser.ts") },
  { filter: /\/unix-socket\.js$/, path: source("remote/unix-socket-browser.ts") },
  { filter: /\/host-files\.js$/, path: source("client/host-files-browser.ts") },
  { filter: /\/forward\.js$/, path: source("ports/forward-browser.ts") },
];

/** Plugin for esbuild that leaves the code for Node out of files for pages. */
export const forPages = {
  name: "for-pages",
  setup: (
    /** @type {{ onResolve(options: { filter: RegExp }, callback: () => { path: string }): void }} */ build,
  ) => {
    for (const { filter, path } of REPLACED) build.onResolve({ filter }, () => ({ path }));
  },
};
