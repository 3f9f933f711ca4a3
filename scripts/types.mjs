import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";

/** Module of zod whose types ours refer to, and the file that declares it. */
const MODULE = /"zod\/mini"/g;
const ENTRY = "v4/mini/external.d.ts";
/** Types of explicit resource management, and where they are declared: not in the library that a project has by its target. */
const DISPOSAL = /AsyncDisposable|asyncDispose/;
const DISPOSAL_LIBRARY = '/// <reference lib="esnext.disposable" />\n';
const COMMENT = /\/\*[\s\S]*?\*\//g;
const IMPORT = /(?:from|import)\s*\(?\s*"([^"]+)"/g;

/**
 * Writes the published types, dist/types, from what the compiler has emitted. The declarations of zod that ours refer to are put beside them, so that the package
 * needs no other to be typed.
 * @param {string} root the project's folder, ending in "/"
 */
export async function buildTypes(root) {
  const emitted = `${root}.tsbuild/types/`;
  const types = `${root}dist/types/`;
  await rm(types, { recursive: true, force: true });
  await copyZod(`${root}node_modules/zod/`, `${types}zod/`);
  const entry = `${types}zod/${ENTRY.replace(".d.ts", ".js")}`;
  for (const name of await readdir(emitted, { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const text = await readFile(join(emitted, name), "utf8");
    const path = relative(dirname(join(types, name)), entry).replaceAll("\\", "/");
    const from = path.startsWith(".") ? path : `./${path}`;
    const library = DISPOSAL.test(text) ? DISPOSAL_LIBRARY : "";
    await write(join(types, name), library + text.replace(MODULE, `"${from}"`));
  }
}

async function copyZod(zod, out) {
  const copied = new Set();
  const copy = async (file) => {
    if (copied.has(file)) return;
    copied.add(file);
    const text = await readFile(zod + file, "utf8");
    await write(out + file, text);
    for (const [, imported] of text.replace(COMMENT, "").matchAll(IMPORT)) {
      if (!imported.startsWith(".")) throw new Error(`zod's ${file} needs the types of ${imported}`);
      const other = declarationOf(resolve(zod, dirname(file), imported));
      await copy(relative(zod, other).replaceAll("\\", "/"));
    }
  };
  await copy(ENTRY);
  await write(`${out}LICENSE`, await readFile(`${zod}LICENSE`, "utf8"));
}

/** Returns the file that declares the module that is imported by this path. */
function declarationOf(path) {
  const found = [path.replace(/\.js$/, ".d.ts"), `${path}.d.ts`, `${path}/index.d.ts`].find(existsSync);
  if (!found) throw new Error(`there are no types for ${path}`);
  return found;
}

async function write(path, text) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
