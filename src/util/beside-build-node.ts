import { pathToFileURL } from "node:url";

/** Returns the URL of a file of the package, relative to the folder of the built modules. */
export function besideBuild(path: string): URL {
  const { url } = import.meta;
  // Bundlers leave a CommonJS module without a URL. Its file is the bundle, beside which nothing is: whoever opens the file says so.
  return new URL(path, url ?? pathToFileURL(__filename));
}
