import type { FileEntry, FileOperation, FileStat } from "../../backend/backend.js";
import { BoxRunError, errnoCause, errnoOf, invalid } from "../../backend/errors.js";
import { type BoxPath, pathBytes, showPath } from "../../backend/file-paths.js";
import { textOf } from "../../backend/text.js";
import { requireFilePath } from "../../backend/transfers.js";
import { requireFlags, requireMode, requireOptions, requireSignal, shown } from "../../backend/validate.js";
import { describeErrno } from "../guest/errno.js";
import { ERRNO, VolumeError } from "../volumes/errno.js";
import { operateOnTree, readTreeFile, removeFromTree, writeTreeFile } from "../volumes/tree-operations.js";
import type { TreeOriginal } from "../volumes/tree-original.js";
import type {
  MemoryVolumeFiles,
  VolumeData,
  VolumeEntry,
  VolumeEvent,
  VolumeFile,
  VolumeFileMap,
} from "./memory-volume-types.js";
import { watchVolume } from "./volume-watch.js";

/** Names of errno that mean that a path does not exist. */
const ABSENT = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"];

/** Implements {@link MemoryVolumeFiles}, which documents the methods. */
export class TreeFiles implements MemoryVolumeFiles {
  readonly #original: TreeOriginal;

  constructor(original: TreeOriginal) {
    this.#original = original;
  }

  read(path: BoxPath): Promise<Uint8Array>;
  read(path: BoxPath, encoding: "utf8" | "utf-8"): Promise<string>;
  async read(path: BoxPath, encoding?: "utf8" | "utf-8"): Promise<Uint8Array | string> {
    if (encoding !== undefined && encoding !== "utf8" && encoding !== "utf-8")
      throw invalid(
        `the encoding must be "utf8" or "utf-8", got ${shown(encoding)}`,
        "leave it out for bytes",
      );
    const bytes = attempt("read", path, (at) => readTreeFile(this.#original.tree, at));
    return encoding ? textOf(bytes) : bytes;
  }

  async write(path: BoxPath, data: VolumeData, options: { mode?: number } = {}): Promise<void> {
    requireOptions(options, { mode: true });
    const file = fileOf(showPath(path), { ...options, data });
    await this.#original.ready();
    this.put(path, file);
  }

  async writeAll(files: VolumeFileMap): Promise<void> {
    for (const [path, file] of filesOf(files)) {
      await this.#original.ready();
      this.put(path, file);
    }
  }

  /** Writes a file that has been checked. */
  put(path: BoxPath, { bytes, mode }: CheckedFile): void {
    attempt("write", path, (at) => writeTreeFile(this.#original.tree, at, bytes, mode));
  }

  async list(path: BoxPath): Promise<VolumeEntry[]> {
    const entries = this.#operate(path, { op: "list", path: pathBytes(path) });
    const named = entries.map(({ name: nameBytes, ...stat }) => {
      return { name: new TextDecoder().decode(nameBytes), nameBytes, ...stat };
    });
    return named.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async stat(path: BoxPath): Promise<FileStat> {
    return this.#stat(path, true);
  }

  async lstat(path: BoxPath): Promise<FileStat> {
    return this.#stat(path, false);
  }

  async exists(path: BoxPath): Promise<boolean> {
    try {
      this.#stat(path, false);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  async mkdir(path: BoxPath, options: { recursive?: boolean; mode?: number } = {}): Promise<void> {
    requireOptions(options, { recursive: true, mode: true });
    const { recursive = false, mode = 0o755 } = options;
    requireMode(mode);
    requireFlags({ recursive });
    await this.#original.ready();
    this.#operate(path, { op: "mkdir", path: pathBytes(path), mode, recursive });
  }

  async rename(from: BoxPath, to: BoxPath): Promise<void> {
    const operation = { op: "rename", path: pathBytes(from), to: pathBytes(to) } as const;
    await this.#original.ready();
    this.#operate(from, operation);
  }

  async remove(path: BoxPath, options: { recursive?: boolean; force?: boolean } = {}): Promise<void> {
    requireOptions(options, { recursive: true, force: true });
    const { recursive = false, force = false } = options;
    requireFlags({ recursive, force });
    const bytes = pathBytes(path);
    await this.#original.ready();
    try {
      if (recursive) attempt("remove", path, (at) => removeFromTree(this.#original.tree, at));
      else this.#operate(path, { op: "remove", path: bytes });
    } catch (error) {
      if (!force || !isAbsent(error)) throw error;
    }
  }

  watch(options: { signal?: AbortSignal } = {}): AsyncIterableIterator<VolumeEvent, void, undefined> {
    requireOptions(options, { signal: true });
    requireSignal(options.signal);
    return watchVolume(this.#original.tree, options.signal);
  }

  #stat(path: BoxPath, followLinks: boolean): FileStat {
    const [found] = this.#operate(path, { op: "stat", path: pathBytes(path), followLinks });
    const { name: _, ...stat } = found!;
    return stat;
  }

  #operate(path: BoxPath, operation: FileOperation): FileEntry[] {
    return attempt(operation.op, path, () => operateOnTree(this.#original.tree, operation));
  }
}

/** A file to write that has been checked. */
interface CheckedFile {
  bytes: Uint8Array;
  mode?: number;
}

/** Lists files to write, once all have been checked. @throws {BoxRunError} VALIDATION_ERROR, naming the path */
export function filesOf(files: VolumeFileMap): [string, CheckedFile][] {
  if (typeof files !== "object" || files === null || files instanceof ArrayBuffer || Symbol.iterator in files)
    throw invalid(
      `the files of a volume must be an object such as { "/main.py": "print(42)" }, got ${shown(files)}`,
      "its keys are paths",
    );
  return Object.entries(files).map(([path, file]) => {
    requireFilePath(path);
    return [path, fileOf(path, isData(file) ? { data: file } : file)];
  });
}

function fileOf(path: string, file: VolumeFile): CheckedFile {
  if (!isData(file?.data))
    throw invalid(
      `the contents of ${path} must be text or bytes, got ${shown(file?.data ?? file)}`,
      "await what arrives later: new Uint8Array(await blob.arrayBuffer())",
    );
  requireOptions(file, { data: true, mode: true });
  const { data, mode } = file;
  if (mode !== undefined) requireMode(mode);
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data);
  return { bytes, ...(mode !== undefined && { mode }) };
}

function isData(value: unknown): value is VolumeData {
  return typeof value === "string" || value instanceof Uint8Array || value instanceof ArrayBuffer;
}

function isAbsent(error: unknown): boolean {
  return ABSENT.includes(errnoOf(error) ?? "");
}

/** Does something at a path, and turns a refusal into the error of the API. */
function attempt<T>(action: string, path: BoxPath, work: (bytes: Uint8Array) => T): T {
  const bytes = pathBytes(path);
  try {
    return work(bytes);
  } catch (error) {
    if (!(error instanceof VolumeError)) throw error;
    const { errno } = error;
    const isFull = errno === "ENOSPC";
    const why = isFull ? "no space left in the volume (ENOSPC)" : describeErrno(ERRNO[errno]);
    const cause = errnoCause(errno, why);
    throw new BoxRunError(isFull ? "STORAGE_FULL" : "RUNTIME_ERROR", `${action} ${showPath(path)}: ${why}`, {
      cause,
    });
  }
}
