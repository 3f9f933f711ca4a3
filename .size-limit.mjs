import { readFileSync } from "node:fs";

const DIST = new URL("dist/browser/", import.meta.url);

/** The files that come with one of the build's: those that it imports, and those that these import. */
function withImports(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const code = readFileSync(new URL(name, DIST), "utf8");
  for (const [, other] of code.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) withImports(other, found);
  return found;
}

const paths = (names) => [...names].map((name) => `dist/browser/${name}`);
const root = withImports("index.js");
const code = readFileSync(new URL("index.js", DIST), "utf8");
const remote = /import\("\.\/(remote-[^"]+)"\)/.exec(code)[1];

/** What a page loads, everything bundled: compressed as most servers do. */
export default [
  { name: "boxrun", path: paths(root), gzip: true, limit: "20 kB" },
  {
    name: "boxrun with a server",
    path: paths(withImports(remote, new Set(root))),
    gzip: true,
    limit: "40 kB",
  },
];
