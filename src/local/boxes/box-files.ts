import type { DownloadResult, FileEntry, FileOperation, UploadSpec } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { pathBytes, showPath } from "../../backend/file-paths.js";
import { requireFilePath } from "../../backend/transfers.js";
import { whenAborted } from "../../util/abort.js";
import { downloadError, fileError, uploadError } from "../guest/errno.js";
import type { Guest } from "../guest/guest.js";
import { getFile, putFile, TransferFailed } from "../guest/guest-files.js";
import { operateInGuest } from "../guest/guest-operation.js";
import { PathInVolume } from "../guest/path-in-volume.js";
import type { Hold } from "./process-hold.js";

/** Keeps the process alive while work is pending. */

/** Uploads one file to a guest, as `Backend.upload` documents it. */
export async function uploadFile(
  guest: Guest,
  hold: Hold,
  file: { path: string; body: ReadableStream<Uint8Array> } & UploadSpec,
): Promise<void> {
  requireFilePath(file.path);
  try {
    await hold(() => putFile(guest, file));
  } catch (error) {
    throw error instanceof TransferFailed
      ? uploadError(file.path, error.failure)
      : ofVolume(error, file.path);
  }
}

/** Returns the error of the API for a path in a volume, and any other error as it is. */
function ofVolume(error: unknown, path: string): unknown {
  if (!(error instanceof PathInVolume)) return error;
  return new BoxRunError("UNSUPPORTED", `${path} is in a volume, which box.files cannot reach yet`, {
    hint: "use the directory of the volume itself, or a command in the box",
  });
}

/** Downloads one file from a guest. */
export async function downloadFile(
  guest: Guest,
  hold: Hold,
  path: string,
  signal?: AbortSignal,
): Promise<DownloadResult> {
  requireFilePath(path);
  const wrap = (error: unknown) =>
    error instanceof TransferFailed ? downloadError(path, error.failure) : ofVolume(error, path);
  const file = await hold(() => getFile(guest, path, signal)).catch((error) => Promise.reject(wrap(error)));
  const reader = file.stream.getReader();
  if (signal?.aborted) {
    await reader.cancel(signal.reason);
    throw signal.reason;
  }
  const finish = whenAborted(signal, (reason) => void reader.cancel(reason).catch(() => {}));
  // Files under /proc and the like have no size before they are read.
  const size = file.size > 0 ? file.size : null;
  let left = size ?? Number.POSITIVE_INFINITY;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await hold(() => reader.read());
          signal?.throwIfAborted();
          if (done && size !== null && left > 0) throw shrank(path, size - left, size);
          const taken = value?.subarray(0, left);
          left -= taken?.byteLength ?? 0;
          if (taken) controller.enqueue(taken);
          if (!done && left > 0) return;
          finish();
          controller.close();
          // Only the size at the start is requested, even if the file has grown since.
          if (!done) await reader.cancel();
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
  return { size, mode: file.mode, stream };
}

function shrank(path: string, got: number, size: number): BoxRunError {
  const message = `download of ${path}: the file was truncated meanwhile, got ${got} of ${size} bytes`;
  return new BoxRunError("RUNTIME_ERROR", message, { retryable: true });
}

/** Performs one file operation in a guest. */
export async function operateOnFiles(
  guest: Guest,
  hold: Hold,
  operation: FileOperation,
  signal?: AbortSignal,
): Promise<FileEntry[]> {
  pathBytes(operation.path);
  if (operation.op === "rename") pathBytes(operation.to);
  try {
    return await hold(() => operateInGuest(guest, operation, signal));
  } catch (error) {
    throw error instanceof TransferFailed
      ? fileError(operation.op, showPath(operation.path), error.failure)
      : ofVolume(error, showPath(operation.path));
  }
}
