import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const DIST = new URL("dist/browser/", import.meta.url);
/** Where bundles go that are only measured. */
const bundles = mkdtempSync(join(tmpdir(), "boxrun-size-"));

/** The files that come with one of the build's: those that it imports, and those that these import. */
function withImports(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const code = readFileSync(new URL(name, DIST), "utf8");
  for (const [, other] of code.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) withImports(other, found);
  return found;
}

/** What a bundler makes of the package for a program that uses a server, in one file; `lazy` are left out. */
async function bundled(name, lazy) {
  const outfile = join(bundles, `${name}.js`);
  await build({
    entryPoints: ["src/index.ts"],
    outfile,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    alias: { "boxrun/unix-agent": "./src/remote/unix-agent-browser.ts" },
    external: ["boxrun/local", ...lazy.map((file) => `*/${file}.js`)],
  });
  return outfile;
}

const ON_FIRST_USE = [
  "terminal",
  "web-socket",
  "upload",
  "upload-plain",
  "file-commands",
  "local-files",
  "unix-socket",
];

/** Compressed as most servers do. */
export default [
  {
    name: "boxrun: what a page loads first",
    path: [...withImports("index.js")].map((name) => `dist/browser/${name}`),
    gzip: true,
    limit: "20 kB",
  },
  {
    name: "boxrun with a server: commands, events and downloads, bundled",
    path: await bundled("commands", ON_FIRST_USE),
    gzip: true,
    limit: "30 kB",
  },
  {
    name: "boxrun with a server: uploads, files and terminals, too, bundled",
    path: await bundled("all", []),
    gzip: true,
    limit: "37 kB",
  },
];
