import { BoxRunError, errnoCause } from "../backend/errors.js";
import { pathBytes, showPath } from "../backend/file-paths.js";
import type { ExecOptions } from "../exec/exec.js";
import type { ExecResult } from "../exec/result.js";
import * as scripts from "./file-scripts.js";
import type { BoxPath, FileBox, FileEntry, FileOperation, FileOptions } from "./file-types.js";

/** Types by the upper bits of a mode, S_IFMT. */
const TYPES: Readonly<Record<string, FileEntry["type"]>> = {
  "8": "file",
  "4": "directory",
  "10": "symlink",
};
const MAX_LIST_BYTES = 64 * 2 ** 20;
/** Messages of programs about a disk, or somebody's quota, that is full. */
const NO_ROOM = /: (?:No space left on device|(?:Disk q|Q)uota exceeded)$/;
/** Number of characters that are kept of a line of error output. */
const MAX_WORDS = 8192;
const SLASH = 47;
const SPACE = 32;
const NEWLINE = 10;

/** The files of a box by scripts that run in it: for operations that may take long, and for all if the backend has no better way. */
export class ScriptedFiles {
  constructor(private readonly box: Pick<FileBox, "exec">) {}

  /** Implements `Backend.fileOperation`. */
  async operate(operation: FileOperation, options: FileOptions): Promise<FileEntry[]> {
    const { op, path } = operation;
    switch (operation.op) {
      case "stat":
        return this.stat(operation.followLinks ? scripts.STAT : scripts.LSTAT, path, options);
      case "list":
        return this.list(path, options);
      case "mkdir": {
        const script = operation.recursive ? scripts.MKDIRS : scripts.MKDIR;
        await this.run(op, script, [path], [operation.mode.toString(8)], options);
        return [];
      }
      case "rename":
        await this.run(op, scripts.RENAME, [path, operation.to], [], options);
        return [];
      case "remove":
        await this.run(op, scripts.REMOVE, [path], [], options);
        return [];
    }
  }

  /**
   * Runs a script to its end, and throws the error that it reports. `warning`: lines of error output that are not failures; `notice`: lines that are not the
   * reason of one.
   */
  async run(
    what: string,
    script: string,
    paths: BoxPath[],
    args: string[],
    { warning, notice = warning, ...options }: ExecOptions & { warning?: RegExp; notice?: RegExp } = {},
  ): Promise<ExecResult> {
    const command = scriptCommand(script, paths, args);
    const result = await this.box.exec(command, { ...options, encoding: "bytes", workdir: "/" });
    const complaints = new Complaints(notice).take(result.stderr);
    const isFine =
      result.exitCode === 0 || (warning !== undefined && result.exitCode === 1 && complaints.areWarnings);
    if (!isFine) throw scriptError(what, paths[0] as BoxPath, result.exitCode, complaints);
    return result;
  }

  private async stat(script: string, path: BoxPath, options: FileOptions): Promise<FileEntry[]> {
    const { stdoutBytes } = await this.run("stat", script, [path], [], options);
    const [found] = parseStats(stdoutBytes);
    if (!found)
      throw new BoxRunError("PROTOCOL_ERROR", `stat ${showPath(path)}: the box's stat printed nothing`);
    return [{ ...found, name: new Uint8Array(0) }];
  }

  private async list(path: BoxPath, options: FileOptions): Promise<FileEntry[]> {
    const limit = { maxOutputBytes: MAX_LIST_BYTES, warning: scripts.VANISHED };
    const result = await this.run("list", scripts.LIST, [path], [], { ...options, ...limit });
    if (result.truncated)
      throw new BoxRunError("RUNTIME_ERROR", `list ${showPath(path)}: the directory has too many entries`);
    // Each name comes after "./".
    return parseStats(result.stdoutBytes).map((entry) => ({ ...entry, name: entry.name.slice(2) }));
  }
}

/** Error output of a program, read line by line: whether all lines are warnings, and the first that is not. */
export class Complaints {
  private failure = "";
  private line = "";
  private isEmpty = true;

  /** `warning`: lines that are not failures. There are none unless given. */
  constructor(private readonly warning = /^$/) {}

  /** True if there are lines, and all of them are warnings. To be asked at the end. */
  get areWarnings(): boolean {
    return this.reason === "" && !this.isEmpty;
  }

  /** The first line that is not a warning; later ones are its consequences. To be asked at the end. */
  get reason(): string {
    return this.failure || this.unlessWarning(this.line);
  }

  take(text: string): this {
    const lines = (this.line + text).split("\n");
    this.line = lines.pop()!.slice(0, MAX_WORDS);
    this.isEmpty &&= lines.length === 0 && this.line === "";
    for (const line of lines) this.failure ||= this.unlessWarning(line).slice(0, MAX_WORDS);
    return this;
  }

  private unlessWarning(line: string): string {
    return line === "" || this.warning.test(line) ? "" : line;
  }
}

/** Returns the command that runs a script. */
export function scriptCommand(script: string, paths: BoxPath[], args: string[] = []): string[] {
  return ["/bin/sh", "-c", scripts.withPaths(script, paths.map(pathBytes)), "boxrun", ...args];
}

/** Creates the error for a failed script, from its exit code or the error output of a program. */
export function scriptError(
  what: string,
  path: BoxPath,
  exitCode: number | null,
  complaints: Complaints,
): BoxRunError {
  if (NO_ROOM.test(complaints.reason))
    return new BoxRunError("STORAGE_FULL", `${what} ${showPath(path)}: ${complaints.reason}`);
  const known = scripts.ERRORS[exitCode ?? -1];
  const words = known?.text ?? (complaints.reason || `exit code ${exitCode}`);
  const details = known && { cause: errnoCause(known.code, known.text) };
  return new BoxRunError("RUNTIME_ERROR", `${what} ${showPath(path)}: ${words}`, details);
}

/** Parses the output of `stat`: entries of "/MODE SIZE TIME UID GID NAME". */
function parseStats(output: Uint8Array): FileEntry[] {
  const found: FileEntry[] = [];
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
      name: output.subarray(at, end),
      type: TYPES[bits >> 12] ?? "other",
      size: Number(size),
      mode: bits & 0o7777,
      modifiedAt: new Date(Number(seconds) * 1000),
      uid: Number(uid),
      gid: Number(gid),
    });
    start = end + 1;
  }
  return found;
}

/** Returns true at the end, and where an entry begins. */
function isStart(output: Uint8Array, at: number): boolean {
  return at >= output.byteLength || output[at] === SLASH;
}
