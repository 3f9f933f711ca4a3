import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** Returns the URL of an installed package's folder, ending in "/": one that this module would import, or a program in the working directory. */
export function findPackage(name: string): string | undefined {
  // Not written as import.meta.url in the call, which bundlers replace by what they think is meant.
  const { url } = import.meta;
  return resolveFrom(name, () => url) ?? resolveFrom(name, () => join(process.cwd(), "program.js"));
}

function resolveFrom(name: string, from: () => string): string | undefined {
  try {
    const file = createRequire(from()).resolve(`${name}/package.json`);
    return pathToFileURL(join(dirname(file), "/")).href;
  } catch {
    // Not installed, or a runtime that does not permit to look.
    return undefined;
  }
}
