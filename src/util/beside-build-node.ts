/** Returns the URL of a file of the package, relative to the folder of the built modules. */
export function besideBuild(path: string): URL {
  const { url } = import.meta;
  return new URL(path, url);
}
