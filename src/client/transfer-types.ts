import type { TransferProgress } from "../backend/backend.js";

/** Options of `upload`. */
export interface UploadOptions {
  /** Permission bits of the file in the box. Default: a file that is there keeps its own; a new one has those of a local path, else 0o644. */
  mode?: number;
  signal?: AbortSignal;
  onProgress?: (progress: TransferProgress) => void;
}

/** Options of `download`. */
export interface DownloadOptions {
  signal?: AbortSignal;
  onProgress?: (progress: TransferProgress) => void;
}

/** A file of a box, on its way out. Take it once, in one of these forms; `stream()` has back-pressure down to the guest. */
export interface Download {
  /** Bytes, when the transfer began; null when unknown. */
  readonly size: number | null;
  bytes(): Promise<Uint8Array>;
  text(): Promise<string>;
  blob(): Promise<Blob>;
  stream(): ReadableStream<Uint8Array>;
}
