/** The part of the browser's File System API that folders as volumes use. A `FileSystemDirectoryHandle` is a {@link FolderHandle}. */
import { latin1 } from "../../util/byte-reader.js";
import { type ErrnoName, VolumeError } from "./errno.js";

/** A file as it was when it was asked for. */
export interface FileSnapshot {
  readonly size: number;
  /** Time of its last change, in milliseconds since 1970. */
  readonly lastModified: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** New contents of a file, which take the place of the old ones when they are closed. */
export interface FileWriter {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

export interface FileHandle {
  readonly kind: "file";
  readonly name: string;
  getFile(): Promise<FileSnapshot>;
  createWritable(): Promise<FileWriter>;
}

export interface FolderHandle {
  readonly kind: "directory";
  readonly name: string;
  entries(): AsyncIterable<[string, FileHandle | FolderHandle]>;
  getFileHandle(name: string, options?: { create: boolean }): Promise<FileHandle>;
  getDirectoryHandle(name: string, options?: { create: boolean }): Promise<FolderHandle>;
  removeEntry(name: string): Promise<void>;
  isSameEntry(other: FolderHandle): Promise<boolean>;
  /** Absent where all that a page has is permitted. */
  queryPermission?(options: { mode: "read" | "readwrite" }): Promise<"granted" | "denied" | "prompt">;
}

/** Errnos of the refusals of a browser, by the names of its errors. */
const ERRNOS: Readonly<Record<string, ErrnoName>> = {
  NotFoundError: "ENOENT",
  InvalidStateError: "ENOENT",
  NotAllowedError: "EACCES",
  SecurityError: "EACCES",
  QuotaExceededError: "ENOSPC",
  TypeMismatchError: "ENOTDIR",
  InvalidModificationError: "ENOTEMPTY",
  NoModificationAllowedError: "EBUSY",
  NotReadableError: "ESTALE",
  // A name that the system below does not permit.
  TypeError: "EINVAL",
};

/** Returns the error of a browser's refusal. */
export function folderErrorOf(cause: unknown): VolumeError {
  if (cause instanceof VolumeError) return cause;
  return new VolumeError(ERRNOS[(cause as Error | undefined)?.name ?? ""] ?? "EIO", { cause });
}

/** Ending of the files that Chromium writes beside those that are being replaced. */
const SWAP_FILE = ".crswap";

/** Returns the name that an entry of a folder has in a tree, a character for each byte; undefined when it has none there. */
export function treeName(name: string): string | undefined {
  if (name.endsWith(SWAP_FILE) || name === "") return undefined;
  const bytes = latin1(new TextEncoder().encode(name));
  return folderName(bytes) === name ? bytes : undefined;
}

/** Returns the name in a folder of an entry of a tree; undefined when it can have none there. */
export function folderName(name: string): string | undefined {
  try {
    const bytes = Uint8Array.from(name, (char) => char.charCodeAt(0));
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return text.endsWith(SWAP_FILE) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Returns what names of a tree have in common that are one name to a system which does not tell `a` from `A`. */
export function foldedName(name: string): string {
  return (folderName(name) ?? name).normalize("NFC").toLowerCase();
}

/** Returns the name in a folder of an entry of a tree. @throws {VolumeError} EINVAL when it can have none there */
export function hostNameOf(name: string): string {
  const hostName = folderName(name);
  if (hostName === undefined) throw new VolumeError("EINVAL");
  return hostName;
}
