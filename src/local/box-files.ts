import type { DownloadResult, FileEntry, FileOperation } from "../backend.js";
import { invalid } from "../errors.js";
import { fileError, transferError } from "./errno.js";
import type { Guest } from "./guest/guest.js";
import { getFile, putFile, TransferFailed } from "./guest/guest-files.js";
import { operateInGuest } from "./guest/guest-operation.js";

/** Keeps the process alive while work is under way. */
type Hold = <T>(work: () => Promise<T>) => Promise<T>;

/** Puts one file into a guest: whole, or not at all. */
export async function uploadFile(
  guest: Guest,
  hold: Hold,
  file: { path: string; body: ReadableStream<Uint8Array>; mode: number; signal?: AbortSignal },
): Promise<void> {
  requireFilePath(file.path);
  try {
    await hold(() => putFile(guest, file));
  } catch (error) {
    throw error instanceof TransferFailed ? transferError("upload to", file.path, error.failure) : error;
  }
}

/** Gets one file out of a guest. */
export async function downloadFile(
  guest: Guest,
  hold: Hold,
  path: string,
  signal?: AbortSignal,
): Promise<DownloadResult> {
  requireFilePath(path);
  const wrap = (error: unknown) =>
    error instanceof TransferFailed ? transferError("download of", path, error.failure) : error;
  const file = await hold(() => getFile(guest, path, signal)).catch((error) => Promise.reject(wrap(error)));
  const reader = file.stream.getReader();
  if (signal?.aborted) {
    await reader.cancel(signal.reason);
    throw signal.reason;
  }
  const onAbort = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", onAbort, { once: true });
  const finish = () => signal?.removeEventListener("abort", onAbort);
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await hold(() => reader.read());
          signal?.throwIfAborted();
          if (!done) return controller.enqueue(value);
          finish();
          controller.close();
        } catch (error) {
          finish();
          controller.error(wrap(error));
        }
      },
      cancel: (reason) => {
        finish();
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  // Files under /proc and the like have no size before they are read.
  return { size: file.size > 0 ? file.size : null, stream };
}

/** Does one thing with the files of a guest. */
export async function operateOnFiles(
  guest: Guest,
  hold: Hold,
  operation: FileOperation,
  signal?: AbortSignal,
): Promise<FileEntry[]> {
  const path = requirePath(operation.path);
  if (operation.op === "rename") requirePath(operation.to);
  try {
    return await hold(() => operateInGuest(guest, operation, signal));
  } catch (error) {
    throw error instanceof TransferFailed ? fileError(operation.op, path, error.failure) : error;
  }
}

/** The path in words. */
function requirePath(path: Uint8Array): string {
  const shown = new TextDecoder().decode(path);
  if (!shown.startsWith("/"))
    throw invalid(`a path in a box must be absolute, and ${JSON.stringify(shown)} is not`);
  return shown;
}

function requireFilePath(path: string): void {
  if (!path.startsWith("/"))
    throw invalid(`a path in a box must be absolute, and ${JSON.stringify(path)} is not`);
  if (path.includes("\0")) throw invalid("a path cannot contain a zero character");
  if (path.endsWith("/")) throw invalid(`${JSON.stringify(path)} names a directory`, "name the file itself");
}
