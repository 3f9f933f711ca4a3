import type { FilesToWrite } from "../files/file-types.js";
import { filesToWrite } from "../files/files-to-write.js";
import type { BoxHandle } from "./box.js";

/**
 * Checks the files of a box that is about to be created. Returns a function that writes them into the box, and removes it when that fails.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when a path, the contents or a mode is wrong
 */
export function initialFiles(files: FilesToWrite): (box: BoxHandle, signal?: AbortSignal) => Promise<void> {
  filesToWrite(files);
  return async (box, signal) => {
    try {
      await box.files.writeAll(files, signal ? { signal } : {});
    } catch (error) {
      const remove = () => box.remove({ force: true });
      const removed = remove()
        .catch(remove)
        .catch(() => {});
      if (!signal?.aborted) await removed;
      throw error;
    }
  };
}
