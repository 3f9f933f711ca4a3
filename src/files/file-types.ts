import type { FileStat } from "../backend/backend.js";
import type { BoxPath } from "../backend/file-paths.js";
import type { Source } from "../exec/byte-source.js";
import type { Command, ExecOptions, ExecStreamOptions } from "../exec/exec.js";
import type { ExecResult, Execution } from "../exec/execution.js";

export type { FileEntry, FileOperation, FileStat } from "../backend/backend.js";
export type { BoxPath } from "../backend/file-paths.js";

/** One entry of a directory. */
export interface DirectoryEntry extends FileStat {
  /** What is no UTF-8 in it is shown as replacement characters: `nameBytes` has it. */
  name: string;
  nameBytes: Uint8Array;
}

/** What files need of a box. */
export interface FileBox {
  readonly id: string;
  exec(cmd: Command, options: ExecOptions): Promise<ExecResult>;
  execStream(cmd: Command, options: ExecStreamOptions): Promise<Execution>;
  upload(source: Exclude<Source, string>, path: string, options: WriteOptions): Promise<void>;
  download(path: string, options: FileOptions): Promise<{ bytes(): Promise<Uint8Array> }>;
}

/** Options of every call. */
export interface FileOptions {
  /** Aborting it ends the work in the box and rejects at once with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of `write`. */
export interface WriteOptions extends FileOptions {
  /** Permission bits. Default: a file that is there keeps its own, a new one has 0o644. */
  mode?: number;
}

/**
 * The files of a box, on every backend: names and shapes are those of `node:fs/promises`. Links are followed, except by `lstat`, by `rename` and `remove`, and by `list` and `copy` for what is in a directory. `read` and `write` are transfers. `copy`,
 * `pack`, `unpack` and `remove` with `recursive` are commands in the box, one more of its executions; so are all the others where the backend has nothing better (see the capability "files").
 *
 * All throw VALIDATION_ERROR for a path that is not absolute, BOX_NOT_RUNNING, and RUNTIME_ERROR for what the box refuses: `error.cause.code` is the name of errno then ("ENOENT", "EEXIST", "ENOTDIR", "EISDIR",
 * "ENOTEMPTY", "EINVAL" for what is no regular file), where it is known. Nothing waits for a FIFO: it is refused, as a source and as a target. A name that is given as text must be text: half a surrogate pair is
 * VALIDATION_ERROR.
 *
 * @example
 * await box.files.write("/root/main.py", "print(42)");
 * for (const { name, type, size } of await box.files.list("/root")) console.log(name, type, size);
 */
export interface BoxFiles {
  /** The contents of a file, as bytes or, with "utf8", as text. */
  read(path: BoxPath, options?: FileOptions): Promise<Uint8Array>;
  read(path: BoxPath, encoding: "utf8", options?: FileOptions): Promise<string>;
  /**
   * Puts a file, whole or not at all. A string is its text. Directories of the path are made. A file that is there keeps its owner and, unless `mode` is given, its mode; its other hard links keep the old contents.
   * Devices, files of the kernel (as under /proc) and files that are mounts are written in place, and an error says so where a part may have been written.
   */
  write(path: BoxPath, data: Source, options?: WriteOptions): Promise<void>;
  /** The entries of a directory, by name. "." and ".." are not among them. */
  list(path: BoxPath, options?: FileOptions): Promise<DirectoryEntry[]>;
  /** What the file is, or the one that a link leads to. */
  stat(path: BoxPath, options?: FileOptions): Promise<FileStat>;
  /** What the file or link itself is. */
  lstat(path: BoxPath, options?: FileOptions): Promise<FileStat>;
  /** True if there is anything of this name, even a link that leads nowhere. */
  exists(path: BoxPath, options?: FileOptions): Promise<boolean>;
  /** Makes a directory; with `recursive` those above it, too, and it may be there already. `mode` is by default 0o755. */
  mkdir(path: BoxPath, options?: FileOptions & { recursive?: boolean; mode?: number }): Promise<void>;
  /** Moves a file or directory, in place of a file or an empty directory. */
  rename(from: BoxPath, to: BoxPath, options?: FileOptions): Promise<void>;
  /** Removes a file; with `recursive` a directory and all in it; with `force` without an error when there is none. */
  remove(path: BoxPath, options?: FileOptions & { recursive?: boolean; force?: boolean }): Promise<void>;
  /** Copies a regular file with its mode and times; with `recursive` a directory and all in it, into the target if that is one: FIFOs, devices and links as such. Directories of the path are made. What is removed meanwhile is left out. */
  copy(from: BoxPath, to: BoxPath, options?: FileOptions & { recursive?: boolean }): Promise<void>;
  /**
   * A directory as a tar archive, made while it is read. It errors when something in the directory cannot be read. What is removed meanwhile is left out, and so are sockets.
   *
   * @example
   * const archive = await new Response(await box.files.pack("/root/project")).blob();
   */
  pack(path: BoxPath, options?: FileOptions): Promise<ReadableStream<Uint8Array>>;
  /**
   * Unpacks a tar archive, plain or compressed with gzip, into a directory, which is made if need be. One that breaks off leaves what had come. VALIDATION_ERROR for any other compression, which it names, and for what is no archive: then nothing is made. Inside gzip that shows only in the box.
   *
   * @example
   * await box.files.unpack(await (await fetch("/project.tar")).blob(), "/root/project");
   */
  unpack(archive: Exclude<Source, string>, path: BoxPath, options?: FileOptions): Promise<void>;
}
