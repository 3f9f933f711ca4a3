import { invalid, isBoxRunError } from "../backend/errors.js";
import { untilAborted } from "../util/abort.js";
import { makeFolders } from "../util/make-folders.js";
import { pause } from "../util/timer.js";
import {
  type FileHandle,
  host,
  isOneOf,
  localError,
  type NodeFiles,
  type NodePath,
  requireName,
  unlessAbsent,
} from "./host.js";
import { IDLE_MS, openSource, RETRY_MS, resemble, Source, streamOf, writeChunk } from "./host-io.js";

/** Limit of the links in a path, as kernels count them. */
const MAX_LINKS = 40;
/** Errors of a file that exists and cannot be replaced, but perhaps written in place. */
const NOT_REPLACED = ["EACCES", "EPERM", "EROFS", "EBUSY", "EXDEV", "ENOENT", "ENOTSUP", "EOPNOTSUPP"];
/** Names that lead to open files, or files of the kernel, which cannot be replaced. */
const OF_SYSTEM = /^\/(?:proc\/|sys\/|dev\/fd\/|dev\/std(?:in|out|err)$)/;

/** Returns true for a directory of this machine, or a link to one. @throws {BoxRunError} UNSUPPORTED where there is no file system */
export async function isLocalFolder(path: string): Promise<boolean> {
  const { files } = host("upload by path needs a file system", "in a page, pass a Blob or bytes");
  requireName(path);
  // Whatever is wrong with it is told when it is opened.
  const stat = await files.stat(path).catch(() => undefined);
  return stat?.isDirectory() === true;
}

/** Streams a directory of this machine as a tar archive. */
export async function packLocalFolder(path: string): Promise<ReadableStream<Uint8Array>> {
  return (await import("./pack-folder.js")).packFolder(path);
}

/** Writes what is in a tar archive of a box to a directory of this machine. */
export async function unpackLocalFolder(
  path: string,
  archive: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  return (await import("./unpack-folder.js")).unpackFolder(path, archive, signal);
}

/** Opens a file of this machine as a stream. @throws {BoxRunError} UNSUPPORTED where there is no file system */
export async function openLocalFile(
  path: string,
): Promise<{ stream: ReadableStream<Uint8Array>; size: number | null; mode: number }> {
  const { files } = host("upload by path needs a file system", "in a page, pass a Blob or bytes");
  requireName(path);
  const { handle, stat } = await openSource(files, path);
  const stream = streamOf(handle, path);
  // Files under /proc and the like have no size before they are read.
  return { stream, size: stat.size > 0 ? stat.size : null, mode: stat.mode & 0o777 };
}

/** Checks for a file system before fetching anything. @throws {BoxRunError} UNSUPPORTED where there is none */
export function requireLocalFiles(): void {
  host("download to a path needs a file system", "in a page, use blob()");
}

/** Options of {@link saveLocalFile}. */
export interface SaveOptions {
  /** Returns the permission bits for a file that does not exist yet. Called only then. */
  newMode: () => Promise<number>;
  signal?: AbortSignal;
}

/**
 * Writes a stream to a file of this machine. Follows links. A regular file is replaced completely, or stays as it was; an existing one keeps its mode, and its
 * owner if that is permitted. A target that cannot be replaced (a device, a FIFO, a mount) is written in place.
 */
export async function saveLocalFile(
  path: string,
  stream: ReadableStream<Uint8Array>,
  options: SaveOptions,
): Promise<void> {
  const { signal } = options;
  const source = new Source(stream);
  try {
    requireName(path);
    await untilAborted(save(path, source, options), signal);
  } catch (cause) {
    await source.cancel();
    if (signal?.aborted) throw signal.reason;
    throw source.failure ?? (isBoxRunError(cause) ? cause : localError("write", path, cause));
  }
}

async function save(path: string, source: Source, { newMode, signal }: SaveOptions): Promise<void> {
  const { files, paths } = host("download to a path needs a file system", "in a page, use blob()");
  const found = await unlessAbsent(files.stat(path));
  if (found?.isDirectory()) throw invalid(`cannot write ${path} on this machine: it is a directory`);
  if (found?.isSocket()) throw invalid(`cannot write ${path} on this machine: it is a socket`);
  if (found && (!found.isFile() || OF_SYSTEM.test(paths.resolve(path))))
    return writeInto(files, path, source, signal);
  const target = found ? await files.realpath(path) : await leadsTo(files, paths, path);
  if (!found) await makeFolders(paths.dirname(target), files, paths.dirname);
  const mode = found ? 0o600 : (await newMode()) & 0o777;
  // The name does not contain that of the target, which may be as long as names can be.
  const partial = `${paths.dirname(target)}/.boxrun-${crypto.randomUUID()}.part`;
  const handle = await files.open(partial, "wx", mode).catch((error) => {
    if (found && isOneOf(error, NOT_REPLACED)) return undefined;
    throw error;
  });
  if (!handle) return writeInto(files, target, source, signal);
  try {
    try {
      await writeAll(handle, source, signal);
      if (found) await resemble(handle, await files.stat(target));
    } finally {
      await handle.close();
    }
    // An abort since then has been reported, so the name must not change after it.
    signal?.throwIfAborted();
    await files.rename(partial, target).catch(async (error) => {
      if (!found || !isOneOf(error, NOT_REPLACED)) throw error;
      const whole = await openSource(files, partial);
      const copy = new Source(streamOf(whole.handle, partial));
      try {
        await writeInto(files, target, copy, signal);
      } finally {
        await copy.cancel();
      }
      await files.rm(partial, { force: true });
    });
  } catch (error) {
    await files.rm(partial, { force: true }).catch(() => {});
    throw error;
  }
}

/** Writes a file in place, from its first byte on. */
async function writeInto(
  files: NodeFiles,
  path: string,
  source: Source,
  signal: AbortSignal | undefined,
): Promise<void> {
  const handle = await openTarget(files, path, signal);
  let begun = false;
  try {
    // The old contents are removed when there are new ones, not before.
    const isFile = (await handle.stat()).isFile();
    const first = await source.next();
    signal?.throwIfAborted();
    begun = true;
    if (isFile) await handle.truncate(0);
    if (first) await writeChunk(handle, first, signal);
    await writeAll(handle, source, signal);
  } catch (cause) {
    if (source.failure || !begun || signal?.aborted) throw cause;
    throw localError("write", `${path} in place (it may be partly written)`, cause);
  } finally {
    await handle.close();
  }
}

/** Opens a file without blocking in the kernel, where no signal would end the wait, nor the process. Waits some time for the reader of a FIFO. */
async function openTarget(
  files: NodeFiles,
  path: string,
  signal: AbortSignal | undefined,
): Promise<FileHandle> {
  const { O_WRONLY, O_NONBLOCK = 0, O_NOCTTY = 0 } = files.constants;
  for (const until = Date.now() + IDLE_MS; ; ) {
    signal?.throwIfAborted();
    try {
      return await files.open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    } catch (error) {
      if (!isOneOf(error, ["ENXIO"]) || !(await files.stat(path)).isFIFO()) throw error;
      if (Date.now() > until) throw new Error(`no reader opened the FIFO within ${IDLE_MS} ms`);
    }
    await pause(RETRY_MS, signal);
  }
}

async function writeAll(handle: FileHandle, source: Source, signal: AbortSignal | undefined): Promise<void> {
  for (let chunk = await source.next(); chunk; chunk = await source.next())
    await writeChunk(handle, chunk, signal);
}

/** Resolves to the name to which a path without a file leads, over links. */
async function leadsTo(files: NodeFiles, paths: NodePath, path: string): Promise<string> {
  let target = path;
  for (let links = 0; links <= MAX_LINKS; links++) {
    if (!(await unlessAbsent(files.lstat(target)))?.isSymbolicLink()) return target;
    const to = await files.readlink(target);
    target = paths.isAbsolute(to) ? to : `${paths.dirname(target)}/${to}`;
  }
  throw new Error("too many levels of symbolic links");
}
