import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type AssetPlan, planCopy } from "./asset-plan.js";
import type { AssetsCommand } from "./command-line.js";
import { megabytes, print } from "./output.js";

/** File that lists what the command has written, so that a later run removes what it wrote, and nothing else. */
const RECORD = ".boxrun-assets";
const OWN_NAME = /^(chunks\/)?[a-z0-9][a-z0-9.-]*$/;

/** Copies what pages need of some images into a folder that is served with them. */
export async function assetsCommand({ folder, images }: AssetsCommand): Promise<number> {
  const plan = await planCopy(images);
  const before = await readRecord(folder);
  const names = [...plan.files.keys(), "manifest.json"];
  // What a run that is broken off has written is known to the next.
  await mkdir(join(folder, "chunks"), { recursive: true });
  await replace(join(folder, RECORD), listOf([...before, ...names]));
  for (const [name, source] of plan.files) await copy(source, join(folder, name));
  // Last: what it names is there.
  await replace(join(folder, "manifest.json"), plan.manifest);
  const stale = [...before].filter((name) => !names.includes(name));
  for (const name of stale) await rm(join(folder, name), { force: true });
  await replace(join(folder, RECORD), listOf(names));
  await print(process.stdout, summary(folder, plan, stale.length));
  return 0;
}

async function readRecord(folder: string): Promise<Set<string>> {
  const text = await readFile(join(folder, RECORD), "utf8").catch(() => "");
  return new Set(text.split("\n").filter((name) => OWN_NAME.test(name)));
}

const listOf = (names: Iterable<string>) => `${[...new Set(names)].join("\n")}\n`;

/** Copies a file, unless it is there. One that is damaged is replaced. */
async function copy(source: URL, target: string): Promise<void> {
  const contents = await readFile(source);
  const there = await readFile(target).catch(() => undefined);
  if (!there?.equals(contents)) await replace(target, contents);
}

/** Puts a file in place in one step: a page that is open meanwhile never sees half of it. */
async function replace(path: string, contents: string | Uint8Array): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    await writeFile(draft, contents);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

function summary(folder: string, { images, files, bytes }: AssetPlan, removed: number): string {
  const gone = removed === 0 ? "" : `, removed ${removed} of an earlier run`;
  return (
    `${folder}: ${images.join(", ")} in ${files.size + 1} files, ${megabytes(bytes)} MB${gone}\n` +
    `A client finds the folder where it is served as boxrun/ below the address of its page. For another\n` +
    `place, name it: new BoxRunClient({ local: { assets: "/its/path/" } })\n`
  );
}
