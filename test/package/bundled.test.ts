import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
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
