import { fdatasync, fsync } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";

const flushData = promisify(fdatasync);
const flush = promisify(fsync);

/** Errors of systems that cannot flush a folder: Windows, and some shared file systems. */
const NO_FOLDER_FLUSH = /^(EPERM|EACCES|EISDIR|EINVAL|EBADF|ENOTSUP|ENOSYS)$/;

/** Creates a file that is on the device once this resolves. Its name is there after {@link flushFolder}. */
export async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(text);
    await flushData(file.fd);
  } finally {
    await file.close();
  }
}

/** Flushes a folder, so that files created in it, moved into it or out of it stay so after a power cut. */
export async function flushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await flush(folder.fd);
    } finally {
      await folder.close();
    }
  } catch (error) {
    // There, the system itself decides when names reach the device.
    if (!NO_FOLDER_FLUSH.test((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
