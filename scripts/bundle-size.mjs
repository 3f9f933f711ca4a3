/** What bundlers make of the package, for its size. */
import { builtinModules } from "node:module";
import { build } from "esbuild";
import { forPages } from "./for-pages.mjs";

/** Loaded when it is first used, by programs that use it: not part of what every program with a server loads. */
export const ON_FIRST_USE = [
  "terminal",
  "web-socket",
  "download",
  "base64-output",
  "shell-template",
  "stdin",
  "upload",
  "upload-plain",
  "box-transfers",
  "file-commands",
  "file-operation",
  "get-or-create",
  "host-files",
  "initial-files",
  "ports",
  "fetch",
  "forward",
  "preview",
  "connect-port",
  "unix-socket",
  "published-rules",
  "rules",
  "box-network",
  "wire-network",
];

/** All that an entry of a package exports, as one minified file for a page. What local boxes need is never part of it: a page fetches it when it makes one. */
export async function bundle(folder, entry, { without = [] } = {}) {
  const { outputFiles } = await build({
    stdin: { contents: `export * from ${JSON.stringify(entry)}`, resolveDir: folder },
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    logLevel: "error",
    plugins: [forPages],
    external: ["boxrun/local", "node:*", ...builtinModules, ...without.map((file) => `*/${file}.js`)],
  });
  return outputFiles[0].contents;
}
