/** Files of this machine, opened, read and written piece by piece. */
import { invalid, isBoxRunError } from "../backend/errors.js";
import { pause } from "../util/timer.js";
import { type FileHandle, isOneOf, localError, type NodeFiles, type Stat } from "./host.js";

const READ_BYTES = 256 * 1024;
/** Longest time in milliseconds that a FIFO may have no reader, or a device may take nothing. */
export const IDLE_MS = 60_000;
/** Poll interval for a target that takes nothing, since nothing reports when it does again. */
export const RETRY_MS = 5;

/** Opens a regular file of this machine. @throws {BoxRunError} VALIDATION_ERROR for any other */
export async function openSource(
  files: NodeFiles,
  path: string,
): Promise<{ handle: FileHandle; stat: Stat }> {
  const { O_RDONLY, O_NONBLOCK = 0 } = files.constants;
  try {
    // Checked before it is opened: opening a device may have an effect, and a FIFO without a writer would block.
    requireRegular(path, await files.stat(path));
    const handle = await files.open(path, O_RDONLY | O_NONBLOCK);
    try {
      const stat = await handle.stat();
      requireRegular(path, stat);
      return { handle, stat };
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (cause) {
    throw isBoxRunError(cause) ? cause : localError("read", path, cause, "to upload text, use files.write");
  }
}

function requireRegular(path: string, stat: Stat): void {
  if (stat.isFile()) return;
  const why = stat.isFIFO() ? " but a FIFO, which may never have a writer" : "";
  throw invalid(`cannot read ${path} on this machine: it is not a regular file${why}`);
}

/**
 * Gives a file the mode of another one, and its owner: user and group if this process may, else the group alone, else neither. If the group is not the old one,
 * its members get no more rights than everybody has.
 */
export async function resemble(
  handle: FileHandle,
  { mode, uid, gid }: Pick<Stat, "mode" | "uid" | "gid">,
): Promise<void> {
  const now = await handle.stat();
  const may = (work: Promise<void>) =>
    work.then(
      () => true,
      () => false,
    );
  let isOwned = now.uid === uid && now.gid === gid;
  if (!isOwned) isOwned = await may(handle.chown(uid, gid));
  const isGroup = isOwned || now.gid === gid || (await may(handle.chown(now.uid, gid)));
  const group = isGroup ? 0o070 : (mode & 0o007) << 3;
  // Set-user-ID and set-group-ID bits must not lend the rights of another owner.
  await handle.chmod(mode & (isOwned ? 0o7777 : 0o707 | group));
}

/** Writes all of a chunk, however often the target takes nothing for a while. */
export async function writeChunk(
  handle: FileHandle,
  chunk: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  let until = Date.now() + IDLE_MS;
  for (let at = 0; at < chunk.byteLength; ) {
    signal?.throwIfAborted();
    try {
      at += (await handle.write(chunk, at, chunk.byteLength - at)).bytesWritten;
      until = Date.now() + IDLE_MS;
    } catch (error) {
      if (!isOneOf(error, ["EAGAIN"])) throw error;
      if (Date.now() > until) throw new Error(`it accepted no data for ${IDLE_MS} ms`);
      await pause(RETRY_MS, signal);
    }
  }
}

/** A stream that is being read, and the error that it failed with, which the caller gets whatever became of the file. */
export class Source {
  failure: unknown;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private isCanceled = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.reader = stream.getReader();
  }

  /** Resolves to the next bytes; undefined at the end. Rejects after a cancel, which must not look like the end. */
  async next(): Promise<Uint8Array | undefined> {
    const { value } = await this.reader.read().catch((error) => {
      this.failure = error;
      throw error;
    });
    if (this.isCanceled) throw new Error("the stream was canceled");
    return value;
  }

  /** Cancels the stream, if it has not ended. Idempotent. */
  async cancel(): Promise<void> {
    this.isCanceled = true;
    await this.reader.cancel().catch(() => {});
  }
}

/** Streams the contents of a file, and closes it. */
export function streamOf(handle: FileHandle, path: string): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const buffer = new Uint8Array(READ_BYTES);
        try {
          const { bytesRead } = await handle.read(buffer, 0, READ_BYTES);
          if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead));
          await handle.close();
          controller.close();
        } catch (cause) {
          await handle.close();
          controller.error(localError("read", path, cause));
        }
      },
      cancel: () => handle.close(),
    },
    { highWaterMark: 0 },
  );
}
