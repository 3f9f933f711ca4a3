import { fdatasync, fsync } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";

const flushData = promisify(fdatasync);
const flush = promisify(fsync);

/** What systems answer that have no way to flush a folder: Windows, and some that files are shared over. */
const NO_FOLDER_FLUSH = /^(EPERM|EACCES|EISDIR|EINVAL|EBADF|ENOTSUP|ENOSYS)$/;

/** Makes a file that is on the device once this resolves; its name is there with {@link flushFolder}. */
export async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(text);
    await flushData(file.fd);
  } finally {
    await file.close();
  }
}

/** What was made in a folder, moved into it or out of it, is so after a power cut, too. */
export async function flushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await flush(folder.fd);
    } finally {
      await folder.close();
    }
  } catch (error) {
    // There the system itself decides when names reach the device.
    if (!NO_FOLDER_FLUSH.test((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
