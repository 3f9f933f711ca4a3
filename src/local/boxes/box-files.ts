import type { DownloadResult, FileEntry, FileOperation, UploadSpec } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { pathBytes, showPath } from "../../backend/file-paths.js";
import { requireFilePath } from "../../backend/transfers.js";
import { whenAborted } from "../../util/abort.js";
import { downloadError, fileError, uploadError } from "../guest/errno.js";
import type { Guest } from "../guest/guest.js";
import { getFile, putFile, TransferFailed } from "../guest/guest-files.js";
import { operateInGuest } from "../guest/guest-operation.js";
import type { Hold } from "./process-hold.js";
import type { VolumePaths } from "./volume-paths.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A guest whose files are used, with its volumes. */
export interface FilesContext {
  guest: Guest;
  /** Keeps the process alive while work is pending. */
  hold: Hold;
  volumes: VolumePaths;
}

/** Uploads one file to a guest, as `Backend.upload` documents it. */
export async function uploadFile(
  { guest, hold, volumes }: FilesContext,
  file: { path: string; body: ReadableStream<Uint8Array> } & UploadSpec,
): Promise<void> {
  requireFilePath(file.path);
  try {
    await hold(() =>
      volumes.resolve(
        encoder.encode(file.path),
        (path) => putFile(guest, { ...file, path: decoder.decode(path) }),
        (where) => volumes.upload(where, file.body, file),
      ),
    );
  } catch (error) {
    throw error instanceof TransferFailed ? uploadError(file.path, error.failure) : error;
  }
}

/** Downloads one file from a guest. */
export async function downloadFile(
  { guest, hold, volumes }: FilesContext,
  path: string,
  signal?: AbortSignal,
): Promise<DownloadResult> {
  requireFilePath(path);
  const wrap = (error: unknown) =>
    error instanceof TransferFailed ? downloadError(path, error.failure) : error;
  const file = await hold(() =>
    volumes.resolve(
      encoder.encode(path),
      (found) => getFile(guest, decoder.decode(found), signal),
      (where) => volumes.download(where),
    ),
  ).catch((error) => Promise.reject(wrap(error)));
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
  { guest, hold, volumes }: FilesContext,
  operation: FileOperation,
  signal?: AbortSignal,
): Promise<FileEntry[]> {
  pathBytes(operation.path);
  if (operation.op === "rename") pathBytes(operation.to);
  try {
    return await hold(() =>
      volumes.resolve(
        operation.path,
        (path, to) => operateInGuest(guest, { ...operation, path, ...(to && { to }) }, signal),
        (where) => volumes.operate(operation, where),
      ),
    );
  } catch (error) {
    throw error instanceof TransferFailed
      ? fileError(operation.op, showPath(operation.path), error.failure)
      : error;
  }
}
