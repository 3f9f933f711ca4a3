/**
 * Composes the contents of an image's package out of dist/assets: its manifest, its boot images and its chunks, in the folder `assets` of the workspace.
 * npm runs it in that workspace before it packs. `npm run build` makes what it takes.
 */
import { access, copyFile, link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @param {string} name the image's */
export async function composeImagePackage(name) {
  const from = `${root}dist/assets/`;
  const to = `${root}wasm/images/${name}/assets/`;
  await access(`${root}dist/assets.key`).catch(() => {
    throw new Error("there are no complete assets: run npm run build first");
  });
  const { version, boxrun, files, images } = JSON.parse(await readFile(`${from}manifest.json`, "utf8"));
  const image = images.find((one) => one.name === name);
  const names = [image.base, ...new Set(image.bootImages.map((one) => one.name))];
  const own = Object.fromEntries(names.map((one) => [one, files[one]]));
  const { chunks } = JSON.parse(await readFile(`${root}dist/cut-${name}.json`, "utf8"));

  const manifest = `${JSON.stringify({ version, boxrun, files: own, images: [image] }, null, 1)}\n`;
  const isThere = () =>
    readFile(`${to}manifest.json`, "utf8").then(
      (text) => text === manifest,
      () => false,
    );
  // Somebody may be packing what is there.
  if (await isThere()) return;
  const draft = `${to.slice(0, -1)}.${process.pid}/`;
  await mkdir(`${draft}chunks`, { recursive: true });
  const paths = [...Object.values(own).map(({ file }) => file), ...chunks.map((chunk) => `chunks/${chunk}`)];
  for (const path of paths)
    await link(from + path, draft + path).catch(() => copyFile(from + path, draft + path));
  await writeFile(`${draft}manifest.json`, manifest);
  if (await isThere()) return rm(draft, { recursive: true });
  await rm(to, { recursive: true, force: true });
  await rename(draft, to);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await composeImagePackage(basename(process.cwd()));
