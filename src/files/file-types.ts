import type { FileStat } from "../backend/backend.js";
import type { BoxPath } from "../backend/file-paths.js";
import type { Command } from "../exec/arguments.js";
import type { Source } from "../exec/byte-source.js";
import type { ExecOptions, ExecStreamOptions } from "../exec/exec.js";
import type { Execution } from "../exec/execution.js";
import type { ExecResult } from "../exec/result.js";

export type { FileEntry, FileOperation, FileStat } from "../backend/backend.js";
export type { BoxPath } from "../backend/file-paths.js";

/** One entry of a directory. */
export interface DirectoryEntry extends FileStat {
  /** Name as text. Bytes that are not UTF-8 are replacement characters; `nameBytes` has them. */
  name: string;
  /** Name as bytes. */
  nameBytes: Uint8Array;
}

/** The part of a box that its files need. */
export interface FileBox {
  readonly id: string;
  exec(cmd: Command, options: ExecOptions): Promise<ExecResult>;
  execStream(cmd: Command, options: ExecStreamOptions): Promise<Execution>;
  upload(source: Exclude<Source, string>, path: string, options: WriteOptions): Promise<void>;
  download(path: string, options: FileOptions): Promise<{ bytes(): Promise<Uint8Array> }>;
}

/** Options of every method of {@link BoxFiles}. */
export interface FileOptions {
  /** Aborting it ends the work in the box. The call rejects at once with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of {@link BoxFiles.write}. */
export interface WriteOptions extends FileOptions {
  /** Permission bits. @default those of the existing file; 0o644 for a new one */
  mode?: number;
}

/** Options of {@link BoxFiles.watch}. */
export interface WatchOptions {
  /** True: everything below a directory is watched, too, new directories included. @default false: its entries alone */
  recursive?: boolean;
  /** Aborting it ends the watch: `ready`, and the iteration, reject with the signal's reason, such as an `AbortError`. @default none */
  signal?: AbortSignal;
}

/** A change of files that {@link BoxFiles.watch} reports. */
export type FileEvent =
  | {
      /**
       * Kind of the change; "changed" is of contents, mode or time. After "overflow", whose path is that of the watch, events are missing: look at everything
       * again.
       */
      type: "created" | "changed" | "removed" | "overflow";
      /** Absolute path in the box as text. Bytes that are not UTF-8 are replacement characters; `pathBytes` has them. */
      path: string;
      /** The path as bytes. */
      pathBytes: Uint8Array;
    }
  | {
      type: "renamed";
      /** Path that it has now, as text. What had it before is gone, and what is in a directory moves with it. */
      path: string;
      /** The path as bytes. */
      pathBytes: Uint8Array;
      /** Path that it had before, as text. */
      from: string;
      /** The path before as bytes. */
      fromBytes: Uint8Array;
    };

/** Changes of files, as they happen. It ends with its loop, by `return()`, by its signal, and with its box. */
export interface FileWatch extends AsyncIterableIterator<FileEvent, void, undefined>, AsyncDisposable {
  /**
   * Resolves once every later change is reported, which takes a moment after the call. Rejects when the watch cannot begin, as its first event does; a rejection that nobody
   * handles is not reported.
   */
  readonly ready: Promise<void>;
  /** Ends the watch. Idempotent. */
  return(): Promise<IteratorResult<FileEvent, void>>;
}

/** Encoding of {@link BoxFiles.read}: UTF-8, under either of its usual names. */
export type TextEncoding = "utf8" | "utf-8";

/** A file to write, with its permission bits. */
export interface FileToWrite {
  /** Contents of the file. A string is its text, not a local path. */
  data: Source;
  /** Permission bits. @default those of the existing file; 0o644 for a new one */
  mode?: number;
}

/** Files to write, by their absolute paths in the box: contents, or contents and permission bits. */
export type FilesToWrite = Readonly<Record<string, Source | FileToWrite>>;

/**
 * The files of a box. Names and shapes are those of `node:fs/promises`. Links are followed, except by `lstat`, `rename` and `remove`, and by `list` and `copy`
 * for the entries of a directory.
 *
 * `read` and `write` are transfers. `copy`, `pack`, `unpack` and `remove` with `recursive` run a command in the box, which appears among its executions; the
 * other methods do so only if the backend lacks the capability "files".
 *
 * Every method rejects with a {@link BoxRunError} as follows:
 * - VALIDATION_ERROR when a path is not absolute, or a path given as text has half a surrogate pair in it
 * - BOX_NOT_RUNNING when the box is not running, BOX_LOCKED when another page or process runs it
 * - RUNTIME_ERROR when the box refuses; `error.cause.code` is the name of errno, where it is known: "ENOENT", "EEXIST", "ENOTDIR", "EISDIR", "ENOTEMPTY", or
 *   "EINVAL" for a file that is not a regular one. A FIFO is always refused, as a source and as a target, since nobody may ever write to it or read from it
 * - STORAGE_FULL when the disk of the box is full
 *
 * @example
 * await box.files.write("/root/main.py", "print(42)");
 * for (const { name, type, size } of await box.files.list("/root")) console.log(name, type, size);
 */
export interface BoxFiles {
  /**
   * Reads a file, as bytes or, with "utf8" or "utf-8", as text.
   *
   * @throws {BoxRunError} VALIDATION_ERROR for any other encoding
   *
   * @example
   * const text = await box.files.read("/etc/os-release", "utf-8");
   */
  read(path: BoxPath, options?: FileOptions): Promise<Uint8Array>;
  read(path: BoxPath, encoding: TextEncoding, options?: FileOptions): Promise<string>;
  /**
   * Writes a file, completely or not at all. A string is its text, not a local path. Creates the directories of the path. An existing file keeps its owner and,
   * unless `mode` is given, its mode; its other hard links keep the old contents. Devices, kernel files (as under /proc) and files that are mounts are written
   * in place, and an error says so if a part may have been written.
   */
  write(path: BoxPath, data: Source, options?: WriteOptions): Promise<void>;
  /**
   * Writes several files, each as `write` does, some of them at a time. All paths, contents and modes are checked before the first is written. When one cannot
   * be written, the others are given up: those that are complete stay, and none is written in part. The error names the path.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when a path is not absolute, or one of the paths would have to be a directory for another one
   *
   * @example
   * await box.files.writeAll({
   *   "/srv/app/main.py": "print(42)",
   *   "/srv/app/run": { data: "#!/bin/sh\npython3 main.py", mode: 0o755 },
   * });
   */
  writeAll(files: FilesToWrite, options?: FileOptions): Promise<void>;
  /** Lists a directory, sorted by name, without "." and "..". */
  list(path: BoxPath, options?: FileOptions): Promise<DirectoryEntry[]>;
  /** Describes a file, or the file that a link leads to. */
  stat(path: BoxPath, options?: FileOptions): Promise<FileStat>;
  /** Describes a file, or a link itself. */
  lstat(path: BoxPath, options?: FileOptions): Promise<FileStat>;
  /** Returns true if the path exists, even as a link that leads nowhere. */
  exists(path: BoxPath, options?: FileOptions): Promise<boolean>;
  /**
   * Creates a directory, with permission bits 0o755 unless `mode` is given. With `recursive`, creates the directories above it, too, and accepts one that
   * exists.
   */
  mkdir(path: BoxPath, options?: FileOptions & { recursive?: boolean; mode?: number }): Promise<void>;
  /** Moves a file or directory. Replaces a file with a file, and an empty directory with a directory. */
  rename(from: BoxPath, to: BoxPath, options?: FileOptions): Promise<void>;
  /** Removes a file. With `recursive`, removes a directory and everything in it; with `force`, does not fail when the path does not exist. */
  remove(path: BoxPath, options?: FileOptions & { recursive?: boolean; force?: boolean }): Promise<void>;
  /**
   * Copies a regular file with its mode and times. With `recursive`, copies a directory and everything in it (into the target, if that is a directory); FIFOs,
   * devices and links are copied as such. Creates the directories of the target path. Files that are removed meanwhile are left out.
   */
  copy(from: BoxPath, to: BoxPath, options?: FileOptions & { recursive?: boolean }): Promise<void>;
  /**
   * Packs a directory into a tar archive, which is produced while it is read. The stream fails when something in the directory cannot be read. Files that are
   * removed meanwhile are left out, and so are sockets.
   *
   * @example
   * const archive = await new Response(await box.files.pack("/root/project")).blob();
   */
  pack(path: BoxPath, options?: FileOptions): Promise<ReadableStream<Uint8Array>>;
  /**
   * Unpacks a tar archive, plain or compressed with gzip, into a directory, which is created if it does not exist. If the archive breaks off, the files before
   * the break stay.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when the archive has another compression, which the message names, or is not a tar archive; nothing is created then.
   * Whether gzip holds a tar archive shows only in the box, as RUNTIME_ERROR
   *
   * @example
   * await box.files.unpack(await (await fetch("/project.tar")).blob(), "/root/project");
   */
  unpack(archive: Exclude<Source, string>, path: BoxPath, options?: FileOptions): Promise<void>;
  /**
   * Watches a file, or a directory with its entries, or with `recursive` everything below it, whoever makes the changes. The watch begins with the call; `ready` says when every later
   * change is reported.
   *
   * A link at the end of the path is followed, and no other. What moves out of what is watched is "removed", what moves in is "created". The iteration ends after "removed" of the
   * path itself. It rejects with BOX_NOT_RUNNING when the box stops, with BOX_NOT_FOUND when the box is removed, and with the signal's reason when `signal` aborts. 4096 events wait
   * for their reader; beyond that, "overflow" stands in their place.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when an option is wrong
   * @throws {BoxRunError} UNSUPPORTED when the backend lacks the capability "watch"
   * @throws {BoxRunError} RUNTIME_ERROR with the errno ENOSPC when there are too many directories to watch
   * @throws {BoxRunError} RESOURCE_EXCEEDED when the process that runs the box has too few descriptors for those of a volume
   *
   * @example
   * const watch = box.files.watch("/srv/app", { recursive: true });
   * await watch.ready;
   * for await (const { type, path } of watch) console.log(type, path);
   */
  watch(path: BoxPath, options?: WatchOptions): FileWatch;
}
