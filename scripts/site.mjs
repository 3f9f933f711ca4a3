import { createHash } from "node:crypto";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { build } from "esbuild";

/** Files of the page that are served as they are written. */
const STATIC = ["index.html", "style.css"];
/** Files of no script or style: those that the page fetches when it starts. `boxrun site` writes settings of its own. */
const EXAMPLES = "examples.json";
const SETTINGS = "settings.json";
/** Name under which the page's folder itself is asked for. */
const FOLDER = "";

/**
 * Completes dist/site, the static page that `npm start` serves and `boxrun site` copies: its markup, and files.json, by which its service worker knows what to keep,
 * and `boxrun site` what to copy. Each file stands after those that it loads.
 * @param {string} root the project's folder, ending in "/"
 */
export async function buildSite(root) {
  const site = `${root}dist/site/`;
  for (const file of STATIC) await copyFile(`${root}demo/${file}`, site + file);
  await writeFile(site + EXAMPLES, JSON.stringify(await readExamples(`${root}demo/examples/`)));
  await writeFile(site + SETTINGS, "{}\n");
  const own = (await readdir(site)).filter((file) => /\.(css|js)$/.test(file) && file !== "worker.js");
  const hash = async (path) =>
    createHash("sha256")
      .update(await readFile(path))
      .digest("hex")
      .slice(0, 12);
  const files = {};
  for (const file of await modulesOf(root)) files[file] = await hash(`${root}dist/${file}`);
  for (const file of [...own.sort(), EXAMPLES, SETTINGS, "index.html"]) files[file] = await hash(site + file);
  files[FOLDER] = files["index.html"];
  await writeFile(`${site}files.json`, `${JSON.stringify(files, null, 1)}\n`);
}

/** Returns the package's modules that a page can load, below dist/: those that it imports, and those that these import. */
async function modulesOf(root) {
  const { metafile } = await build({
    entryPoints: [`${root}dist/browser/index.js`, `${root}dist/browser/local.js`],
    absWorkingDir: root,
    bundle: true,
    format: "esm",
    platform: "browser",
    splitting: true,
    metafile: true,
    write: false,
    outdir: ".",
    logLevel: "error",
  });
  return Object.keys(metafile.inputs)
    .map((path) => relative("dist", path).replaceAll("\\", "/"))
    .sort();
}

/** Reads the examples, each with the texts of the files in its folder. */
async function readExamples(folder) {
  const examples = JSON.parse(await readFile(join(folder, EXAMPLES), "utf8"));
  return Promise.all(
    examples.map(async (example) => ({ ...example, files: await textsIn(join(folder, example.id)) })),
  );
}

async function textsIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const texts = paths
    .sort()
    .map(async (path) => [`/${relative(folder, path).replaceAll("\\", "/")}`, await readFile(path, "utf8")]);
  return Object.fromEntries(await Promise.all(texts));
}
