import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { besideBuild } from "../util/beside-build-node.js";
import { planAssets } from "./asset-plan.js";
import { ASSETS_RECORD, removedNote } from "./assets.js";
import type { FolderCommand, SiteSettings } from "./command-line.js";
import { megabytes, print } from "./output.js";
import { type FolderFiles, RecordedFolder } from "./recorded-folder.js";

/** Record of what was written of the page itself. Its assets have one of their own, as `boxrun assets` keeps it. */
const SITE_RECORD = ".boxrun-site";

/** File of the page's settings, which the build lists, too. */
const SETTINGS = "settings.json";

/** Writes a page that runs boxes of some images into a folder: the page, the package's modules, and the assets. */
export async function siteCommand({ folder, images, settings = {} }: FolderCommand): Promise<number> {
  const plan = await planAssets(images);
  const page = await planPage(settings);
  // Both before anything is written. The page comes last: what it loads is there.
  const assets = await RecordedFolder.open(join(folder, "assets"), ASSETS_RECORD, plan.files);
  const site = await RecordedFolder.open(folder, SITE_RECORD, page.files);
  const removed = (await assets.write()) + (await site.write());
  const count = plan.files.size + page.files.size;
  const size = megabytes(plan.bytes + page.bytes);
  await print(
    process.stdout,
    `${folder}: a page with ${plan.images.join(", ")}, ${count} files, ${size} MB${removedNote(removed)}\n` +
      `To try it: npx serve ${quoted(folder)}\n` +
      `       or: python3 -m http.server --bind 127.0.0.1 --directory ${quoted(folder)}\n` +
      `Previews: ${settings.previewUrl ? `from ${settings.previewUrl}, where the files of boxrun preview must be` : "none, without --preview-url"}\n` +
      `Network of boxes: by ${settings.relay ? "the relay" : "the page's fetch, without --relay-url"}\n` +
      `Any host of static files serves it, also below a path such as /class/. Anywhere but on localhost it\n` +
      `needs https: without, browsers keep no files and do not open the page without a network.\n`,
  );
  return 0;
}

/** Plans the page: the files that the build has listed for its service worker, the settings, the worker and the list itself. */
async function planPage(settings: SiteSettings): Promise<{ files: FolderFiles; bytes: number }> {
  const list = await readFile(besideBuild("../site/files.json"), "utf8");
  const hashes = JSON.parse(list) as Record<string, string>;
  const text = JSON.stringify(settings);
  hashes[SETTINGS] = createHash("sha256").update(text).digest("hex").slice(0, 12);
  const listed = Object.keys(hashes).filter((path) => path !== "" && path !== SETTINGS);
  const files = new Map<string, URL | string>([[SETTINGS, text]]);
  let bytes = 0;
  for (const path of [...listed, "worker.js"]) {
    const source = besideBuild(path.startsWith("browser/") ? `../${path}` : `../site/${path}`);
    files.set(path, source);
    bytes += (await stat(source)).size;
  }
  files.set("files.json", `${JSON.stringify(hashes, null, 1)}\n`);
  return { files, bytes };
}

/** Quotes a path where a shell would not take it as it is. */
function quoted(path: string): string {
  return /^[\w./:@-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
