import { BoxRunError, unsupported } from "./errors.js";

/** The few calls of `node:fs/promises` that are used here. */
interface NodeFiles {
  open(path: string, flags: string, mode?: number): Promise<FileHandle>;
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: boolean }): Promise<void>;
}
interface FileHandle {
  stat(): Promise<{ size: number; mode: number; isFile(): boolean }>;
  read(buffer: Uint8Array, offset: number, length: number): Promise<{ bytesRead: number }>;
  writeFile(data: AsyncIterable<Uint8Array>): Promise<void>;
  close(): Promise<void>;
}

const READ_BYTES = 256 * 1024;

/** A file of this machine as a stream. UNSUPPORTED where there are no files. */
export async function openLocalFile(
  path: string,
): Promise<{ stream: ReadableStream<Uint8Array>; size: number; mode: number }> {
  const files = nodeFiles("upload by path needs a file system", "in a page, pass a Blob or bytes");
  const handle = await files.open(path, "r").catch((cause) => {
    throw localError("read", path, cause, "text? use files.write");
  });
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    throw new BoxRunError("VALIDATION_ERROR", `${path} is not a regular file`);
  }
  const stream = new ReadableStream<Uint8Array>(
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
  return { stream, size: stat.size, mode: stat.mode & 0o777 };
}

/** Throws UNSUPPORTED where there are no files, before anything is fetched in vain. */
export function requireLocalFiles(): void {
  nodeFiles("download to a path needs a file system", "in a page, use blob()");
}

/** Writes a stream to a file of this machine: whole under its name, or not at all. */
export async function saveLocalFile(path: string, stream: ReadableStream<Uint8Array>): Promise<void> {
  const files = nodeFiles("download to a path needs a file system", "in a page, use blob()");
  let sourceError: unknown;
  const chunks = async function* () {
    try {
      yield* stream as unknown as AsyncIterable<Uint8Array>;
    } catch (error) {
      sourceError = error;
      throw error;
    }
  };
  const partial = `${path}.${Math.random().toString(36).slice(2)}.part`;
  try {
    await files.mkdir(path.replace(/[^\\/]*$/, "") || ".", { recursive: true });
    const handle = await files.open(partial, "wx");
    try {
      await handle.writeFile(chunks());
    } finally {
      await handle.close();
    }
    await files.rename(partial, path);
  } catch (cause) {
    await stream.cancel().catch(() => {});
    await files.rm(partial, { force: true }).catch(() => {});
    throw sourceError ?? localError("write", path, cause);
  }
}

/** Found at run time, not imported: bundles for browsers and edge runtimes have no `node:` in them. */
function nodeFiles(what: string, hint: string): NodeFiles {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const files = process?.getBuiltinModule?.("node:fs/promises");
  if (!files) throw unsupported(what, `${hint}; Node has it from 20.16 on`);
  return files as NodeFiles;
}

function localError(action: string, path: string, cause: unknown, hint = ""): BoxRunError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BoxRunError("VALIDATION_ERROR", `cannot ${action} ${path} on this machine: ${why}`, {
    cause,
    hint,
  });
}
