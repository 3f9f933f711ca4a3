import type { Backend } from "../backend/backend.js";
import { BoxRunError, errnoOf, invalid } from "../backend/errors.js";
import { pathBytes, pathText } from "../backend/file-paths.js";
import { textOf } from "../backend/text.js";
import { requireFlags, requireMode, requireOptions } from "../backend/validate.js";
import type { Source } from "../exec/byte-source.js";
import { untilAborted } from "../util/abort.js";
import { randomName } from "../util/ids.js";
import { tarOf } from "./archives.js";
import * as scripts from "./file-scripts.js";
import type {
  BoxFiles,
  BoxPath,
  DirectoryEntry,
  FileBox,
  FileEntry,
  FileOperation,
  FileOptions,
  FileStat,
  FilesToWrite,
  TextEncoding,
  WatchOptions,
  WriteOptions,
} from "./file-types.js";
import { OpenFileWatch } from "./file-watch.js";
import { filesToWrite } from "./files-to-write.js";
import { Complaints, ScriptedFiles, scriptCommand, scriptError } from "./scripted-files.js";
import { writeTogether } from "./write-together.js";

/** Names of errno that mean that a path does not exist. */
const ABSENT = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"];

/**
 * Implements the methods of `BoxFiles`, which documents them: by the backend's own operations if it has them, else by scripts in the box, which also do
 * everything that may take long.
 */
export class FileCommands implements Omit<BoxFiles, "watch"> {
  private readonly scripts: ScriptedFiles;

  constructor(
    private readonly box: FileBox,
    private readonly backend: Backend,
  ) {
    this.scripts = new ScriptedFiles(box);
  }

  read(path: BoxPath, options?: FileOptions): Promise<Uint8Array>;
  read(path: BoxPath, encoding: TextEncoding, options?: FileOptions): Promise<string>;
  async read(
    path: BoxPath,
    given?: TextEncoding | FileOptions,
    options: FileOptions = typeof given === "object" ? given : {},
  ): Promise<Uint8Array | string> {
    const isText = given === "utf8" || given === "utf-8";
    if (given !== undefined && typeof given !== "object" && !isText)
      throw invalid(
        `the encoding must be "utf8" or "utf-8", got ${JSON.stringify(given)}`,
        "leave it out for bytes",
      );
    requireOptions(options, { signal: true });
    const bytes = await this.underName(path, async (name) =>
      (await this.box.download(name, options)).bytes(),
    );
    return isText ? textOf(bytes) : bytes;
  }

  async write(path: BoxPath, data: Source, options: WriteOptions = {}): Promise<void> {
    requireOptions(options, { mode: true, signal: true });
    const source = typeof data === "string" ? new TextEncoder().encode(data) : data;
    await this.underName(path, (name) => this.box.upload(source, name, options));
  }

  async writeAll(files: FilesToWrite, options: FileOptions = {}): Promise<void> {
    requireOptions(options, { signal: true });
    const entries = filesToWrite(files);
    await writeTogether(entries, options.signal, ({ path, data, ...rest }, signal) =>
      this.write(path, data, { ...rest, signal }),
    );
  }

  async list(path: BoxPath, options: FileOptions = {}): Promise<DirectoryEntry[]> {
    const entries = await this.operate({ op: "list", path: pathBytes(path) }, options);
    const named = entries.map(({ name: nameBytes, ...stat }) => {
      return { name: new TextDecoder().decode(nameBytes), nameBytes, ...stat };
    });
    return named.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async stat(path: BoxPath, options: FileOptions = {}): Promise<FileStat> {
    return this.statOf({ op: "stat", path: pathBytes(path), followLinks: true }, options);
  }

  async lstat(path: BoxPath, options: FileOptions = {}): Promise<FileStat> {
    return this.statOf({ op: "stat", path: pathBytes(path), followLinks: false }, options);
  }

  async exists(path: BoxPath, options: FileOptions = {}): Promise<boolean> {
    return this.lstat(path, options).then(
      () => true,
      (error) => {
        if (ABSENT.includes(errnoOf(error) ?? "")) return false;
        throw error;
      },
    );
  }

  async mkdir(
    path: BoxPath,
    options: FileOptions & { recursive?: boolean; mode?: number } = {},
  ): Promise<void> {
    requireOptions(options, { recursive: true, mode: true, signal: true });
    const { recursive = false, mode = 0o755, ...rest } = options;
    requireMode(mode);
    requireFlags({ recursive });
    await this.operate({ op: "mkdir", path: pathBytes(path), mode, recursive }, rest);
  }

  async rename(from: BoxPath, to: BoxPath, options: FileOptions = {}): Promise<void> {
    const operation: FileOperation = { op: "rename", path: pathBytes(from), to: pathBytes(to) };
    try {
      await this.operate(operation, options);
    } catch (error) {
      // Between file systems, the file must be copied.
      if (errnoOf(error) !== "EXDEV") throw error;
      await this.scripts.operate(operation, options);
    }
  }

  async remove(
    path: BoxPath,
    options: FileOptions & { recursive?: boolean; force?: boolean } = {},
  ): Promise<void> {
    requireOptions(options, { recursive: true, force: true, signal: true });
    const { recursive = false, force = false, ...rest } = options;
    requireFlags({ recursive, force });
    try {
      if (recursive) await this.scripts.run("remove", scripts.REMOVE_ALL, [path], [], rest);
      else await this.operate({ op: "remove", path: pathBytes(path) }, rest);
    } catch (error) {
      if (!force || !ABSENT.includes(errnoOf(error) ?? "")) throw error;
    }
  }

  async copy(from: BoxPath, to: BoxPath, options: FileOptions & { recursive?: boolean } = {}): Promise<void> {
    requireOptions(options, { recursive: true, signal: true });
    const { recursive = false, ...rest } = options;
    requireFlags({ recursive });
    const warning = recursive ? { warning: scripts.COPY_WARNING } : {};
    await this.scripts.run("copy", scripts.COPY, [from, to], [recursive ? "r" : ""], {
      ...rest,
      ...warning,
    });
  }

  async pack(path: BoxPath, options: FileOptions = {}): Promise<ReadableStream<Uint8Array>> {
    requireOptions(options, { signal: true });
    const execution = await this.box.execStream(scriptCommand(scripts.PACK, [path]), {
      ...options,
      encoding: "bytes",
      workdir: "/",
    });
    const events = execution[Symbol.asyncIterator]();
    const complaints = new Complaints(scripts.PACK_WARNING);
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          for (;;) {
            const { done, value } = await events.next();
            if (done) return controller.close();
            if (
              value.type === "exit" &&
              !(value.exitCode === 0 || (value.exitCode === 1 && complaints.areWarnings))
            )
              throw scriptError("pack", path, value.exitCode, complaints);
            if (value.type === "log" && value.stream === "stderr") complaints.take(value.data);
            if (value.type === "log" && value.stream === "stdout" && value.bytes.byteLength > 0)
              return controller.enqueue(value.bytes);
          }
        },
        cancel: async () => void (await events.return()),
      },
      { highWaterMark: 0 },
    );
  }

  async unpack(archive: Exclude<Source, string>, path: BoxPath, options: FileOptions = {}): Promise<void> {
    requireOptions(options, { signal: true });
    pathBytes(path);
    options.signal?.throwIfAborted();
    const { stream, flag } = await tarOf(archive, options.signal);
    const notice = scripts.UNPACK_NOTICE;
    if (this.backend.capabilities.stdin === true) {
      await this.scripts.run("unpack", scripts.UNPACK, [path], [flag], { ...options, notice, stdin: stream });
      return;
    }
    const file = `/tmp/boxrun-${randomName()}.tar`;
    try {
      await this.box.upload(stream, file, options);
      await this.scripts.run("unpack", scripts.UNPACK_FILE, [path, file], [flag], { ...options, notice });
    } catch (error) {
      // If the script ran to its end, it has removed the file.
      const removed = this.remove(file).catch(() => {});
      if (!options.signal?.aborted) await removed;
      throw error;
    }
  }

  /** Opens a watch; `BoxFiles.watch` is there before this is. */
  openWatch(path: BoxPath, options: WatchOptions): Promise<OpenFileWatch> {
    return OpenFileWatch.open(this.backend, this.box.id, path, options);
  }

  /** Transfers take names that are text: any other file gets one for their time. */
  private async underName<T>(path: BoxPath, use: (name: string) => Promise<T>): Promise<T> {
    const text = pathText(path);
    if (text !== undefined) return use(text);
    const link = `/tmp/boxrun-${randomName()}`;
    await this.scripts.run("link", scripts.LINK, [path, link], []);
    try {
      return await use(link);
    } finally {
      await this.remove(link).catch(() => {});
    }
  }

  private async statOf(operation: FileOperation, options: FileOptions): Promise<FileStat> {
    const [found] = await this.operate(operation, options);
    if (!found) throw new BoxRunError("PROTOCOL_ERROR", "the backend does not say what the file is");
    const { name: _, ...stat } = found;
    return stat;
  }

  private async operate(operation: FileOperation, options: FileOptions): Promise<FileEntry[]> {
    requireOptions(options, { signal: true });
    options.signal?.throwIfAborted();
    if (this.backend.capabilities.files !== true) return this.scripts.operate(operation, options);
    const done = this.backend.fileOperation(this.box.id, operation, options);
    return untilAborted(done, options.signal);
  }
}
