import { readFile } from "node:fs/promises";
import { FILES } from "../preview/messages.js";
import { besideBuild } from "../util/beside-build-node.js";
import { removedNote } from "./assets.js";
import type { PreviewCommand } from "./command-line.js";
import { print } from "./output.js";
import { RecordedFolder } from "./recorded-folder.js";

const RECORD = ".boxrun-preview";
const NO_ORIGINS = 'name="boxrun-pages" content=""';

/** Writes the files of an origin for previews into a folder. */
export async function previewCommand({ folder, allowOrigins = [] }: PreviewCommand): Promise<number> {
  const page = await readFile(fileOf(FILES.page), "utf8");
  // Origins have no character that would end the attribute.
  const own = page.replace(NO_ORIGINS, () => NO_ORIGINS.replace('""', `"${allowOrigins.join(" ")}"`));
  const files = new Map<string, URL | string>(Object.values(FILES).map((file) => [file, fileOf(file)]));
  files.set(FILES.page, own);
  const removed = await (await RecordedFolder.open(folder, RECORD, files)).write();
  await print(
    process.stdout,
    `${folder}: ${files.size} files, for previews in pages of ${allowOrigins.join(", ") || "this machine"}${removedNote(removed)}\n` +
      "Serve it as the root of an origin of its own, such as http://127.0.0.1:5174/ for a page at another port.\n",
  );
  return 0;
}

const fileOf = (name: string) => besideBuild(`../preview/${name}`);
