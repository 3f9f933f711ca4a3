import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { expect, it } from "vitest";
import { ROOT } from "../root.js";

/** What bundlers take for a file that they must bring along. */
const ASSET = /new URL\(\s*["'`][^"'`]*["'`]\s*,\s*import\.meta\.url\s*\)/g;

it.each(["browser", "node"])(
  "dist/%s has no address that a bundler takes for an asset of its own",
  (folder) => {
    const files = readdirSync(join(ROOT, "dist", folder)).filter((name) => name.endsWith(".js"));
    expect(files.length).toBeGreaterThan(10);
    const found = files.flatMap(
      (name) => readFileSync(join(ROOT, "dist", folder, name), "utf8").match(ASSET) ?? [],
    );
    expect(found).toEqual([]);
  },
);

it('local.assets: "cdn" is the assets of exactly this version', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const script =
    'import { BoxRunClient } from "./dist/node/index.js";' +
    "const asked = []; globalThis.fetch = async (url) => { asked.push(String(url)); return new Response(null, { status: 404 }); };" +
    'const client = new BoxRunClient({ backend: "local", local: { assets: "cdn", persistent: false, cache: "/nowhere" } });' +
    "await client.images().catch(() => {}); console.log(asked.join()); await client.close();";
  const asked = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(asked).toBe(`https://cdn.jsdelivr.net/npm/boxrun@${version}/dist/assets/manifest.json\n`);
});

it.each(["cjs", "esm"] as const)(
  "bundled as %s, a program of Node says to leave boxrun out of the bundle",
  (format) => {
    const folder = mkdtempSync(join(tmpdir(), "boxrun-bundled-"));
    try {
      const source = join(folder, "program.js");
      const entry = JSON.stringify(join(ROOT, "dist/node/index.js"));
      writeFileSync(
        source,
        `import { BoxRunClient } from ${entry}; new BoxRunClient({ backend: "local" }).images().catch(({ message }) => console.log(message));`,
      );
      const outfile = join(folder, format === "cjs" ? "program.cjs" : "program.mjs");
      buildSync({
        entryPoints: [source],
        outfile,
        format,
        bundle: true,
        platform: "node",
        logLevel: "error",
      });
      const said = execFileSync(process.execPath, [outfile], { encoding: "utf8" });
      expect(said).toMatch(
        /^cannot read manifest\.json from file:.*keep boxrun out of the bundle of a server/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
