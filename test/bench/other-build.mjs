import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/**
 * This bench around another build: a folder of its own with the `dist` of the other checkout, which has been built, and the files of this bench, so that both measure the same. `import "boxrun"` in them finds that build.
 * @param {string} checkout
 */
export function openOtherBuild(checkout) {
  for (const part of ["dist/node/index.js", "dist/assets/manifest.json", "node_modules"])
    if (!existsSync(resolve(checkout, part)))
      throw new Error(`${checkout} has not been built: there is no ${part}`);
  const folder = mkdtempSync(join(tmpdir(), "boxrun-other-"));
  // A copy: Node takes a linked file for one of the folder that it is in.
  cpSync(fileURLToPath(new URL(".", import.meta.url)), join(folder, "test/bench"), { recursive: true });
  for (const name of ["package.json", "dist", "node_modules"])
    symlinkSync(resolve(checkout, name), join(folder, name));
  return {
    root: pathToFileURL(`${folder}/`),
    close: async () => rmSync(folder, { recursive: true }),
  };
}
