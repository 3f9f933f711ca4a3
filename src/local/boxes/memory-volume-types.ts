import type { ChangeAt, FileStat, MemorySource } from "../../backend/backend.js";
import type { BoxPath } from "../../backend/file-paths.js";

/** Contents of a file: text, as UTF-8, or bytes. */
export type VolumeData = string | Uint8Array | ArrayBuffer;

/** A file to write, with its permission bits. */
export interface VolumeFile {
  /** Contents of the file. */
  data: VolumeData;
  /** Permission bits. @default those of the existing file; 0o644 for a new one */
  mode?: number;
}

/** Files to write, by their absolute paths in the volume: contents, or contents and permission bits. */
export type VolumeFileMap = Readonly<Record<string, VolumeData | VolumeFile>>;

/** Limits of a volume in memory. */
export interface MemoryVolumeOptions {
  /** Size that all contents may have together, in bytes. Beyond it, programs in a box get ENOSPC and `files` rejects with STORAGE_FULL. @default 1 GiB */
  maxBytes?: number;
  /** Number of files, directories and links that it may have. @default 262144 */
  maxFiles?: number;
}

/** One entry of a directory of a volume. */
export interface VolumeEntry extends FileStat {
  /** Name as text. Bytes that are not UTF-8 are replacement characters; `nameBytes` has them. */
  name: string;
  /** Name as bytes. */
  nameBytes: Uint8Array;
}

/** A change of a volume, whoever made it. Paths begin at the root of the volume; that of "overflow" is "/". */
export type VolumeEvent = ChangeAt<string>;

/**
 * The files of a volume in memory. Names, options and results are those of `box.files`; paths begin at the root of the volume. Links are followed, except by `lstat`, `rename` and
 * `remove`; one that a program in a box made and that is absolute, or leads above the root, is refused.
 *
 * Every method rejects with a {@link BoxRunError} as follows:
 * - VALIDATION_ERROR when a path is not absolute
 * - RUNTIME_ERROR when it cannot be done; `error.cause.code` is the name of errno: "ENOENT", "EEXIST", "ENOTDIR", "EISDIR", "ENOTEMPTY", "EXDEV" for a link that leads out
 * - STORAGE_FULL when the volume is full
 */
export interface MemoryVolumeFiles {
  /**
   * Reads a file, as bytes or, with "utf8" or "utf-8", as text.
   *
   * @throws {BoxRunError} VALIDATION_ERROR for any other encoding
   */
  read(path: BoxPath): Promise<Uint8Array>;
  read(path: BoxPath, encoding: "utf8" | "utf-8"): Promise<string>;
  /** Writes a file, completely or not at all, and the directories of its path. An existing file stays the same one, for all its names and for programs that have it open. */
  write(path: BoxPath, data: VolumeData, options?: { mode?: number }): Promise<void>;
  /** Writes several files, each as `write` does. All are checked before the first is written. */
  writeAll(files: VolumeFileMap): Promise<void>;
  /** Lists a directory, sorted by name, without "." and "..". */
  list(path: BoxPath): Promise<VolumeEntry[]>;
  /** Describes a file, or the file that a link leads to. */
  stat(path: BoxPath): Promise<FileStat>;
  /** Describes a file, or a link itself. */
  lstat(path: BoxPath): Promise<FileStat>;
  /** Returns true if the path exists, even as a link that leads nowhere. */
  exists(path: BoxPath): Promise<boolean>;
  /** Creates a directory, with permission bits 0o755 unless `mode` is given. With `recursive`, creates those above it, too, and accepts one that exists. */
  mkdir(path: BoxPath, options?: { recursive?: boolean; mode?: number }): Promise<void>;
  /** Moves a file or directory. Replaces a file with a file, and an empty directory with a directory. */
  rename(from: BoxPath, to: BoxPath): Promise<void>;
  /** Removes a file. With `recursive`, removes a directory and everything in it; with `force`, does not fail when the path does not exist. */
  remove(path: BoxPath, options?: { recursive?: boolean; force?: boolean }): Promise<void>;
  /**
   * Watches all paths, from the call on, until the iteration ends or `signal` aborts, whose reason it rejects with. 4096 events wait for their reader; beyond that, "overflow" stands
   * in their place. A watch that nobody reads ends with its signal.
   *
   * @example
   * import { memoryVolume } from "boxrun/local";
   *
   * const volume = memoryVolume({ "/main.py": "print(42)" });
   * for await (const { type, path } of volume.files.watch()) console.log(type, path);
   */
  watch(options?: { signal?: AbortSignal }): AsyncIterableIterator<VolumeEvent, void, undefined>;
}

/** A volume in the memory of this page or process. */
export interface MemoryVolume extends MemorySource {
  /** Its files, as this page or process uses them. */
  readonly files: MemoryVolumeFiles;
}
