/**
 * Builds the package: bundles into dist/node, dist/browser, dist/worker and dist/preview, declarations into dist/types, the demo page into dist/site, then the assets that boxes are made of into dist/assets.
 * The boot images among them are made by running the emulator, so they take some seconds; they are made again only when something
 * they depend on has changed.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildAssets } from "./assets.mjs";
import { buildSite } from "./site.mjs";
import { buildTypes } from "./types.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

if (!existsSync(`${root}node_modules`)) {
  console.error("Run npm ci first.");
  process.exit(1);
}
const started = Date.now();
console.log("building, which takes a minute or two the first time ...");
const step = (what) => console.log(`- ${what}`);
step("the code, for Node and for pages");
for (const folder of ["node", "browser", "worker", "preview", "site"])
  rmSync(`${root}dist/${folder}`, { recursive: true, force: true });
execFileSync(process.execPath, [`${root}node_modules/tsup/dist/cli-default.js`, "--silent"], {
  cwd: root,
  stdio: "inherit",
});
copyFileSync(`${root}src/preview/preview.html`, `${root}dist/preview/preview.html`);
step("the types");
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-b", "tsconfig.core.json"], {
  cwd: root,
  stdio: "inherit",
});
await buildTypes(root);
step("the demo page");
await buildSite(root);
await buildAssets(root, step);
console.log(`built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
