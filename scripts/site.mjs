import { createHash } from "node:crypto";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";

/** Files of the page that are served as they are written. */
const STATIC = ["index.html", "style.css"];
/** Name under which the page's folder itself is asked for. */
const FOLDER = "";

/**
 * Completes dist/site, the static page that `npm start` serves and `boxrun site` copies: its markup, and files.json, by which its service worker knows what to keep.
 * @param {string} root the project's folder, ending in "/"
 */
export async function buildSite(root) {
  const site = `${root}dist/site/`;
  for (const file of STATIC) await copyFile(`${root}demo/${file}`, site + file);
  const own = (await readdir(site)).filter((file) => /\.(css|html|js)$/.test(file) && file !== "worker.js");
  const sdk = (await readdir(`${root}dist/browser`)).filter((file) => file.endsWith(".js"));
  const hash = async (path) =>
    createHash("sha256")
      .update(await readFile(path))
      .digest("hex")
      .slice(0, 12);
  const files = {};
  files[FOLDER] = await hash(`${site}index.html`);
  for (const file of own.sort()) files[file] = await hash(site + file);
  for (const file of sdk.sort()) files[`browser/${file}`] = await hash(`${root}dist/browser/${file}`);
  await writeFile(`${site}files.json`, `${JSON.stringify(files, null, 1)}\n`);
}
