import { BoxRunError, invalid } from "./errors.js";
import type { ExecOptions } from "./exec.js";
import type { ExecResult } from "./execution.js";
import * as scripts from "./file-scripts.js";
import type {
  BoxFiles,
  BoxPath,
  DirectoryEntry,
  FileBox,
  FileOptions,
  FileStat,
  WriteOptions,
} from "./file-types.js";
import type { Source } from "./source.js";

/** By the upper bits of a mode, S_IFMT. */
const TYPES: Readonly<Record<string, FileStat["type"]>> = {
  "8": "file",
  "4": "directory",
  "10": "symlink",
};
const MAX_LIST_BYTES = 64 * 2 ** 20;
const SLASH = 47;
const SPACE = 32;
const NEWLINE = 10;

/** What the calls of `BoxFiles`, which documents them, do. */
export class FileCommands implements BoxFiles {
  constructor(private readonly box: FileBox) {}

  read(path: BoxPath, options?: FileOptions): Promise<Uint8Array>;
  read(path: BoxPath, encoding: "utf8", options?: FileOptions): Promise<string>;
  async read(
    path: BoxPath,
    given?: "utf8" | FileOptions,
    options: FileOptions = typeof given === "object" ? given : {},
  ): Promise<Uint8Array | string> {
    const bytes = await this.underName(path, async (name) =>
      (await this.box.download(name, options)).bytes(),
    );
    return given === "utf8" ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : bytes;
  }

  async write(path: BoxPath, data: Source, options: WriteOptions = {}): Promise<void> {
    const source = typeof data === "string" ? new TextEncoder().encode(data) : data;
    await this.underName(path, (name) => this.box.upload(source, name, options));
  }

  async list(path: BoxPath): Promise<DirectoryEntry[]> {
    const result = await this.run("list", scripts.LIST, [path], [], { maxOutputBytes: MAX_LIST_BYTES });
    if (result.truncated) throw new BoxRunError("RUNTIME_ERROR", `list ${show(path)}: it holds too much`);
    const entries = parseStats(result.stdoutBytes).map(({ path: found, ...stat }) => {
      const nameBytes = found.slice(2);
      return { name: new TextDecoder().decode(nameBytes), nameBytes, ...stat };
    });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  stat(path: BoxPath): Promise<FileStat> {
    return this.statBy(scripts.STAT, path);
  }

  lstat(path: BoxPath): Promise<FileStat> {
    return this.statBy(scripts.LSTAT, path);
  }

  async exists(path: BoxPath): Promise<boolean> {
    const { exitCode } = await this.exec(scripts.EXISTS, [path]);
    return exitCode === 0;
  }

  async mkdir(path: BoxPath, { recursive = false, mode = 0o755 } = {}): Promise<void> {
    if (!Number.isInteger(mode) || mode < 0 || mode > 0o7777)
      throw invalid("mode must be permission bits, as 0o755");
    await this.run("mkdir", recursive ? scripts.MKDIRS : scripts.MKDIR, [path], [mode.toString(8)]);
  }

  async rename(from: BoxPath, to: BoxPath, options: FileOptions = {}): Promise<void> {
    await this.run("rename", scripts.RENAME, [from, to], [], options);
  }

  async remove(
    path: BoxPath,
    {
      recursive = false,
      force = false,
      ...options
    }: FileOptions & { recursive?: boolean; force?: boolean } = {},
  ): Promise<void> {
    await this.run("remove", scripts.REMOVE, [path], [recursive ? "r" : "", force ? "f" : ""], options);
  }

  async copy(
    from: BoxPath,
    to: BoxPath,
    { recursive = false, ...options }: FileOptions & { recursive?: boolean } = {},
  ): Promise<void> {
    await this.run("copy", scripts.COPY, [from, to], [recursive ? "r" : ""], options);
  }

  async pack(path: BoxPath, options: FileOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const execution = await this.box.execStream(scriptOf(scripts.PACK, [path], []), {
      ...options,
      encoding: "bytes",
      workdir: "/",
    });
    const events = execution[Symbol.asyncIterator]();
    let words = "";
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          for (;;) {
            const { done, value } = await events.next();
            if (done) return controller.close();
            if (value.type === "exit" && value.exitCode !== 0)
              throw failed("pack", path, value.exitCode, words);
            if (value.type === "log" && value.stream === "stderr") words = (words + value.data).slice(-1000);
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
    if (this.box.hasStdin) {
      await this.run("unpack", scripts.UNPACK, [path], [], { ...options, stdin: archive });
      return;
    }
    const file = `/tmp/boxrun-${crypto.randomUUID()}.tar`;
    await this.box.upload(archive, file, options);
    await this.run("unpack", scripts.UNPACK_FILE, [path, file], [], options);
  }

  private async statBy(script: string, path: BoxPath): Promise<FileStat> {
    const { stdoutBytes } = await this.run("stat", script, [path], []);
    const [found] = parseStats(stdoutBytes);
    if (!found) throw new BoxRunError("PROTOCOL_ERROR", `stat ${show(path)}: the box's stat printed nothing`);
    const { path: _, ...stat } = found;
    return stat;
  }

  /** Transfers take names that are text: any other file gets one for their time. */
  private async underName<T>(path: BoxPath, use: (name: string) => Promise<T>): Promise<T> {
    const text = typeof path === "string" ? path : asText(path);
    if (text !== undefined) return use(text);
    const link = `/tmp/boxrun-${crypto.randomUUID()}`;
    await this.run("link", scripts.LINK, [path, link], []);
    try {
      return await use(link);
    } finally {
      await this.exec(scripts.UNLINK, [link]).catch(() => {});
    }
  }

  private async run(
    what: string,
    script: string,
    paths: BoxPath[],
    args: string[],
    options: ExecOptions = {},
  ): Promise<ExecResult> {
    const result = await this.exec(script, paths, args, options);
    if (result.exitCode !== 0) throw failed(what, paths[0] as BoxPath, result.exitCode, result.stderr);
    return result;
  }

  private async exec(
    script: string,
    paths: BoxPath[],
    args: string[] = [],
    options: ExecOptions = {},
  ): Promise<ExecResult> {
    return this.box.exec(scriptOf(script, paths, args), { ...options, encoding: "bytes", workdir: "/" });
  }
}

function scriptOf(script: string, paths: BoxPath[], args: string[]): string[] {
  return ["/bin/sh", "-c", scripts.withPaths(script, paths.map(checked)), "boxrun", ...args];
}

function checked(path: BoxPath): Uint8Array {
  if (typeof path !== "string" && !(path instanceof Uint8Array))
    throw invalid("a path must be a string or bytes");
  const bytes = typeof path === "string" ? new TextEncoder().encode(path) : path;
  if (bytes[0] !== SLASH) throw invalid(`the path ${show(path)} must be absolute`);
  if (bytes.includes(0)) throw invalid("a path cannot contain a zero character");
  let end = bytes.byteLength;
  while (end > 1 && bytes[end - 1] === SLASH) end--;
  return bytes.subarray(0, end);
}

/** Reads what `stat` printed: entries of "/MODE SIZE TIME UID GID PATH". */
function parseStats(output: Uint8Array): (FileStat & { path: Uint8Array })[] {
  const found: (FileStat & { path: Uint8Array })[] = [];
  for (let start = 0; start < output.byteLength; ) {
    let end = start + 1;
    while (end < output.byteLength && !(output[end] === NEWLINE && isStart(output, end + 1))) end++;
    let at = start + 1;
    const fields: string[] = [];
    while (fields.length < 5) {
      const space = output.indexOf(SPACE, at);
      fields.push(new TextDecoder().decode(output.subarray(at, space)));
      at = space + 1;
    }
    const [mode, size, seconds, uid, gid] = fields as [string, string, string, string, string];
    const bits = Number.parseInt(mode, 16);
    if (![bits, ...fields.slice(1).map(Number)].every(Number.isSafeInteger))
      throw new BoxRunError("PROTOCOL_ERROR", "the box's stat printed what it should not");
    found.push({
      type: TYPES[bits >> 12] ?? "other",
      size: Number(size),
      mode: bits & 0o7777,
      modifiedAt: new Date(Number(seconds) * 1000),
      uid: Number(uid),
      gid: Number(gid),
      path: output.slice(at, end),
    });
    start = end + 1;
  }
  return found;
}

/** True at the end, and where an entry begins. */
function isStart(output: Uint8Array, at: number): boolean {
  return at >= output.byteLength || output[at] === SLASH;
}

function failed(what: string, path: BoxPath, exitCode: number | null, stderr: string): BoxRunError {
  const known = scripts.ERRORS[exitCode ?? -1];
  const words = known?.text ?? (stderr.trim().split("\n").at(-1) || `exit code ${exitCode}`);
  const cause = known && Object.assign(new Error(`${known.code}: ${known.text}`), { code: known.code });
  return new BoxRunError("RUNTIME_ERROR", `${what} ${show(path)}: ${words}`, cause && { cause });
}

function show(path: BoxPath): string {
  return typeof path === "string" ? path : new TextDecoder().decode(path);
}

function asText(path: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(path);
  } catch {
    return undefined;
  }
}
