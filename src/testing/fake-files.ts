import type { FileChange, FileEntry, FileOperation } from "../backend/backend.js";
import { BoxRunError, errnoCause } from "../backend/errors.js";
import { pathBytes } from "../backend/file-paths.js";
import { FakeWatches, type WatchedFiles } from "./fake-watches.js";

const REASONS = {
  ENOENT: "no such file or directory",
  EEXIST: "file exists",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  ENOTEMPTY: "directory not empty",
  EINVAL: "invalid argument",
} as const;
type Reason = keyof typeof REASONS;

interface Directory {
  mode: number;
  modifiedAt: Date;
}

/** The files of a fake box as a tree. There are no links in it. */
export class FakeTree {
  /** Directories that exist even when they are empty. */
  private readonly directories = new Map<string, Directory>();

  private readonly watches = new FakeWatches();

  constructor(
    private readonly files: WatchedFiles,
    private readonly madeAt: Date,
  ) {
    files.onChange = (change) => this.watches.report(change);
  }

  /** Number of watches that have not ended. */
  get openWatches(): number {
    return this.watches.count;
  }

  /** Watches a path. */
  watch(path: Uint8Array, options: { recursive: boolean; signal?: AbortSignal }): AsyncIterable<FileChange> {
    const key = keyOf(path);
    if (this.typeOf(key) === undefined) throw refusal("watch", key, this.whyAbsent(key));
    return this.watches.watch(key, options);
  }

  /** Ends all watches with an error. */
  endWatches(reason: unknown): void {
    this.watches.fail(reason);
  }

  /** Implements `Backend.fileOperation`. */
  operate(operation: FileOperation): FileEntry[] {
    const path = keyOf(operation.path);
    switch (operation.op) {
      case "stat":
        return [this.stat(path)];
      case "list":
        return this.list(path);
      case "mkdir":
        this.mkdir(path, operation.mode, operation.recursive);
        return [];
      case "rename":
        this.rename(path, keyOf(operation.to));
        return [];
      case "remove":
        this.remove(path);
        return [];
    }
  }

  /** Writes a file. Creates the directories of its path. */
  write(path: string, bytes: Uint8Array, mode: number): void {
    if (this.typeOf(path) === "directory") throw refusal("upload to", path, "EISDIR");
    this.makeAbove("upload to", path);
    this.files.set(path, { bytes, mode, modifiedAt: new Date() });
  }

  private stat(path: string): FileEntry {
    if (this.typeOf(path) === undefined) throw refusal("stat", path, this.whyAbsent(path));
    return { ...this.entry(path), name: new Uint8Array(0) };
  }

  private list(path: string): FileEntry[] {
    const type = this.typeOf(path);
    if (type === undefined) throw refusal("list", path, this.whyAbsent(path));
    if (type === "file") throw refusal("list", path, "ENOTDIR");
    const start = below(path);
    const names = new Set(this.within(path).map((found) => found.slice(start.length).split("/")[0]!));
    return [...names].map((name) => this.entry(start + name));
  }

  private mkdir(path: string, mode: number, recursive: boolean): void {
    const type = this.typeOf(path);
    if (type === "directory" && recursive) return;
    if (type !== undefined) throw refusal("mkdir", path, "EEXIST");
    if (recursive) this.makeAbove("mkdir", path);
    else if (this.typeOf(above(path)) !== "directory") throw refusal("mkdir", path, this.whyAbsent(path));
    this.addDirectory(path, mode);
  }

  private addDirectory(path: string, mode: number): void {
    this.directories.set(path, { mode, modifiedAt: new Date() });
    this.files.onChange({ type: "created", path });
  }

  private rename(path: string, to: string): void {
    const fail = (reason: Reason) => refusal("rename", path, reason);
    const type = this.typeOf(path);
    const target = this.typeOf(to);
    if (type === undefined) throw fail(this.whyAbsent(path));
    if (this.typeOf(above(to)) !== "directory") throw fail(this.whyAbsent(to));
    if (path === to) return;
    if (to.startsWith(below(path)) || path === "/") throw fail("EINVAL");
    if (target === "directory" && type === "file") throw fail("EISDIR");
    if (target === "file" && type === "directory") throw fail("ENOTDIR");
    if (target === "directory" && this.within(to).length > 0) throw fail("ENOTEMPTY");
    this.makeAbove("rename", path);
    this.files.as({ type: "renamed", path: to, from: path }, () => {
      for (const from of [path, ...this.within(path)]) {
        move(this.files, from, to + from.slice(path.length));
        move(this.directories, from, to + from.slice(path.length));
      }
    });
  }

  private remove(path: string): void {
    const type = this.typeOf(path);
    if (type === undefined) throw refusal("remove", path, this.whyAbsent(path));
    if (type === "directory") throw refusal("remove", path, "EISDIR");
    // Its directory stays, with nothing in it.
    this.makeAbove("remove", path);
    this.files.delete(path);
  }

  private typeOf(path: string): "file" | "directory" | undefined {
    if (this.files.has(path)) return "file";
    const isDirectory = path === "/" || this.directories.has(path) || this.within(path).length > 0;
    return isDirectory ? "directory" : undefined;
  }

  /** Returns the paths of everything below a directory. */
  private within(path: string): string[] {
    const start = below(path);
    return [...this.files.keys(), ...this.directories.keys()].filter(
      (found) => found.startsWith(start) && found !== start,
    );
  }

  private entry(path: string): FileEntry {
    const file = this.files.get(path);
    const directory = this.directories.get(path);
    return {
      name: bytesOf(path.slice(path.lastIndexOf("/") + 1)),
      type: file ? "file" : "directory",
      size: file?.bytes.byteLength ?? 0,
      mode: (file ?? directory)?.mode ?? 0o755,
      modifiedAt: (file ?? directory)?.modifiedAt ?? this.madeAt,
      uid: 0,
      gid: 0,
    };
  }

  private makeAbove(what: string, path: string): void {
    if (this.whyAbsent(path) === "ENOTDIR") throw refusal(what, path, "ENOTDIR");
    for (let at = above(path); at !== "/"; at = above(at))
      if (!this.directories.has(at)) this.addDirectory(at, 0o755);
  }

  private whyAbsent(path: string): Reason {
    for (let at = above(path); at !== "/"; at = above(at)) if (this.files.has(at)) return "ENOTDIR";
    return "ENOENT";
  }
}

/** Creates the error for an operation that a fake box refuses. */
export function refusal(what: string, path: string, reason: Reason): BoxRunError {
  const text = REASONS[reason];
  return new BoxRunError("RUNTIME_ERROR", `${what} ${path}: ${text}`, { cause: errnoCause(reason, text) });
}

function move<T>(map: Map<string, T>, from: string, to: string): void {
  const value = map.get(from);
  map.delete(from);
  if (value !== undefined) map.set(to, value);
}

/** Returns the prefix of the paths of everything in a directory. */
function below(path: string): string {
  return path === "/" ? "/" : `${path}/`;
}

function above(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** Returns a path as text, to be a key of the files. A byte that is not UTF-8 becomes half a surrogate pair, which no text has. */
function keyOf(path: Uint8Array): string {
  const text = textOf(pathBytes(path));
  const names: string[] = [];
  for (const name of text.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return `/${names.join("/")}`;
}

const LONE = 0xdc00;

function textOf(path: Uint8Array): string {
  // Name by name, so that the path of an entry begins with that of its directory.
  const names: string[] = [];
  for (let start = 0; start <= path.byteLength; ) {
    const slash = path.indexOf(0x2f, start);
    const end = slash === -1 ? path.byteLength : slash;
    names.push(nameOf(path.subarray(start, end)));
    start = end + 1;
  }
  return names.join("/");
}

function nameOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : LONE + byte)).join("");
  }
}

function bytesOf(name: string): Uint8Array {
  if (!/[\udc80-\udcff]/u.test(name)) return new TextEncoder().encode(name);
  return Uint8Array.from(name, (char) => char.charCodeAt(0) & 0xff);
}
