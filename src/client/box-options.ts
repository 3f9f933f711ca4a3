import type {
  CreateProgress,
  Secrets,
  TerminalSpec,
  TransferProgress,
  VolumeSource,
} from "../backend/backend.js";

/** Options of {@link BoxHandle.start}. */
export interface StartOptions {
  /** Secrets of the box: those that it was created with, by name, since they are not stored. @default none */
  secrets?: Secrets;
  /** Volumes of the box that are in memory or folders of this page: those that it was created with, by their paths in the box, as far as they are not kept. @default none */
  volumes?: VolumeSource[];
  /** Aborts the start, which then rejects at once with the signal's reason. The box is stopped again. */
  signal?: AbortSignal;
  /** Called at each step of the start. */
  onProgress?: (progress: CreateProgress) => void;
}

/** Options of {@link BoxHandle.attach}. */
export interface AttachOptions extends Partial<TerminalSpec> {
  /** Aborting it ends the shell. An `attach` that is still pending rejects at once with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of {@link BoxHandle.upload}. */
export interface UploadOptions {
  /** Permission bits of the file in the box. @default those of the existing file; for a new one those of the local file, else 0o644 */
  mode?: number;
  /** Aborts the upload, which then rejects at once with the signal's reason. */
  signal?: AbortSignal;
  /** Called with each piece that is sent. */
  onProgress?: (progress: TransferProgress) => void;
}

/** Options of {@link BoxHandle.download}. */
export interface DownloadOptions {
  /** Aborts the download, which then rejects at once with the signal's reason. */
  signal?: AbortSignal;
  /** Called with each piece that arrives. */
  onProgress?: (progress: TransferProgress) => void;
}

/**
 * A file that is being read out of a box. It can be read once, in one of the four forms.
 *
 * @example
 * const text = await (await box.download("/etc/os-release")).text();
 */
export interface Download {
  /** Size in bytes when the transfer began; null when unknown. */
  readonly size: number | null;
  /** Reads the whole file as bytes. @throws {BoxRunError} VALIDATION_ERROR when it has been read already */
  bytes(): Promise<Uint8Array>;
  /** Reads the whole file as UTF-8 text. @throws {BoxRunError} VALIDATION_ERROR when it has been read already */
  text(): Promise<string>;
  /** Reads the whole file as a Blob. @throws {BoxRunError} VALIDATION_ERROR when it has been read already */
  blob(): Promise<Blob>;
  /** Returns the file as a stream, with back-pressure down to the guest. */
  stream(): ReadableStream<Uint8Array>;
}
