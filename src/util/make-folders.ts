/** The calls of `node:fs/promises` that {@link makeFolders} needs. */
interface FolderCalls {
  mkdir(path: string, options: { mode?: number }): Promise<unknown>;
  stat(path: string): Promise<{ isDirectory(): boolean }>;
}

/**
 * Creates a folder, and those above it that do not exist. Node's own recursive mkdir never returns for a path such as /proc/x: mkdir(2) reports ENOENT there
 * although the folder above exists, and Node tries again without end (seen in Node 20.20).
 */
export async function makeFolders(
  path: string,
  files: FolderCalls,
  dirname: (path: string) => string,
  options: { mode?: number } = {},
): Promise<void> {
  const isFolder = async (folder: string) =>
    (await files.stat(folder).catch(() => undefined))?.isDirectory() === true;
  try {
    await files.mkdir(path, options);
  } catch (error) {
    if (await isFolder(path)) return;
    const above = dirname(path);
    const isMissing = (error as { code?: unknown }).code === "ENOENT";
    if (!isMissing || above === path) throw error;
    // Somebody else may have created the one above, or even this one, meanwhile.
    if (!(await isFolder(above))) await makeFolders(above, files, dirname, options);
    await files.mkdir(path, options).catch(async (second) => {
      if (!(await isFolder(path))) throw second;
    });
  }
}
