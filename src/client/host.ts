/** The files of this machine, where there are any: what of Node's modules is used, and how errors are told. */
import { BoxRunError, invalid, unsupported } from "../backend/errors.js";
import { isWellFormed } from "../util/well-formed.js";

/** The few calls of `node:fs/promises` that are used here. */
export interface NodeFiles {
  constants: { O_RDONLY: number; O_WRONLY: number; O_NONBLOCK?: number; O_NOCTTY?: number };
  open(path: string, flags: string | number, mode?: number): Promise<FileHandle>;
  stat(path: string): Promise<Stat>;
  lstat(path: string): Promise<Stat>;
  lstat(path: string, options: { bigint: true }): Promise<{ dev: bigint; ino: bigint }>;
  readlink(path: string): Promise<string>;
  realpath(path: string): Promise<string>;
  mkdir(path: string, options: { mode?: number }): Promise<unknown>;
  readdir(path: string): Promise<string[]>;
  symlink(target: string, path: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  utimes(path: string, accessed: Date, modified: Date): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: boolean }): Promise<void>;
}
/** Facts about a file of this machine. */
export interface Stat {
  nlink: number;
  mtime: Date;
  size: number;
  mode: number;
  uid: number;
  gid: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}
/** An open file of this machine. */
export interface FileHandle {
  stat(): Promise<Stat>;
  chmod(mode: number): Promise<void>;
  chown(uid: number, gid: number): Promise<void>;
  truncate(length: number): Promise<void>;
  read(buffer: Uint8Array, offset: number, length: number): Promise<{ bytesRead: number }>;
  write(data: Uint8Array, offset: number, length: number): Promise<{ bytesWritten: number }>;
  close(): Promise<void>;
}
/** The few functions of `node:path` that are used here. None of them normalizes: the kernel must resolve ".." after a linked directory. */
export interface NodePath {
  sep: string;
  dirname(path: string): string;
  isAbsolute(path: string): boolean;
  resolve(...paths: string[]): string;
}

/** Errors of a disk, or a user's quota, that is full. */
const NO_ROOM = ["ENOSPC", "EDQUOT"];

/** Resolves to undefined where nothing has the name. */
export function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (isOneOf(error, ["ENOENT"])) return undefined;
    throw error;
  });
}

/** Returns true for an error with one of these codes. */
export function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return codes.includes((error as { code?: string }).code ?? "");
}

/** Checks that a path of this machine can be a name. */
export function requireName(path: string): void {
  if (isWellFormed(path)) return;
  throw invalid(
    `the local path ${JSON.stringify(path)} contains half a surrogate pair, which no file name can`,
  );
}

/** Looks modules up at run time instead of importing them: bundles for browsers and edge runtimes have no `node:`. */
export function host(what: string, hint: string): { files: NodeFiles; paths: NodePath } {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const files = process?.getBuiltinModule?.("node:fs/promises");
  const paths = process?.getBuiltinModule?.("node:path");
  if (!files || !paths) throw unsupported(what, `${hint}; in Node, use 20.16 or later`);
  return { files: files as NodeFiles, paths: paths as NodePath };
}

/** Creates the error for something that this machine refuses. */
export function localError(action: string, path: string, cause: unknown, hint = ""): BoxRunError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = isOneOf(cause, NO_ROOM) ? "STORAGE_FULL" : "VALIDATION_ERROR";
  return new BoxRunError(code, `cannot ${action} ${path} on this machine: ${why}`, {
    cause,
    hint,
  });
}
