import type { FilesToWrite } from "../files/file-types.js";
import { filesToWrite } from "../files/files-to-write.js";
import type { BoxHandle } from "./box.js";
import { cancelUnread, discardBox } from "./cleanup.js";

/**
 * Creates a box and writes its files. Removes it when that fails. Streams among the files are read, or canceled.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when a path, the contents or a mode is wrong; nothing is created then
 */
export async function createWithFiles(
  files: FilesToWrite,
  signal: AbortSignal | undefined,
  create: () => Promise<BoxHandle>,
): Promise<BoxHandle> {
  return withSources(files, async (checked) => {
    const box = await create();
    try {
      await box.files.writeAll(checked, signal ? { signal } : {});
      return box;
    } catch (error) {
      await discardBox(box, signal);
      throw error;
    }
  });
}

/**
 * Does `work` with files that have been checked, in a copy that nobody else can change. Cancels streams among the files that it has not read.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when a path, the contents or a mode is wrong
 */
export async function withSources<T>(
  files: FilesToWrite,
  work: (checked: FilesToWrite) => Promise<T>,
): Promise<T> {
  // As they are now: the object may lose some of them meanwhile.
  const given: unknown[] = Object.values(files ?? {});
  try {
    const entries = filesToWrite(files);
    return await work(Object.fromEntries(entries.map(({ path, ...file }) => [path, file])));
  } finally {
    for (const file of given) cancelUnread((file as { data?: unknown } | null)?.data ?? file);
  }
}
