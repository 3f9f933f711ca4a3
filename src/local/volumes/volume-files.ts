/** The files of a volume, as the 9P server uses them. Names and link targets have a character for each byte: Linux's names are bytes. */

/** A result that may take time. What is there at once reaches the guest within the same slice of emulation, several times sooner. */
export type Later<T> = T | Promise<T>;

/** Longest name and longest target of a link, in bytes, as Linux has them. */
export const MAX_NAME_BYTES = 255;
export const MAX_TARGET_BYTES = 4095;
/** Longest path that a program can use, in bytes. */
export const MAX_PATH_BYTES = 4095;
/** Permission bits that a guest may set: a program with setuid would be one for the users of the host, too. */
export const SETTABLE_MODE = 0o1777;

/** Kind of an entry. "other" is a FIFO, socket or device, which can be looked at and removed, and never opened. */
export type NodeKind = "file" | "directory" | "link" | "other";

/** Facts about a file, as stat(2) has them. */
export interface NodeStat {
  kind: NodeKind;
  /** Permission bits, at most 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  links: number;
  size: number;
  /** Blocks of 512 bytes that it takes. */
  blocks: number;
  atimeMs: number;
  mtimeMs: number;
  ctimeMs: number;
  /** Number of the file system on the host that it is in. */
  device: number;
  /** Number of the file in that file system. */
  inode: number;
}

/** Facts about a file that never change, and by which it is known. */
export type FileIdentity = Pick<NodeStat, "kind" | "device" | "inode">;

/** Changes of a file's facts. Absent ones stay. The owner of a file cannot be changed. */
export interface NodeChanges {
  mode?: number;
  size?: number;
  atimeMs?: number;
  mtimeMs?: number;
}

/** An entry of a directory. */
export interface NodeEntry {
  name: string;
  kind: NodeKind;
  device: number;
  inode: number;
}

/** Room in a volume. */
export interface VolumeSpace {
  blockBytes: number;
  blocks: number;
  freeBlocks: number;
  files: number;
  freeFiles: number;
}

/** Ways to open a file. */
export interface OpenFlags {
  read: boolean;
  write: boolean;
  truncate: boolean;
  /** Whether each write goes to the end of the file, wherever it says. */
  append: boolean;
}

/** A file that is open. It stays readable and writable when it is renamed or removed. */
export interface OpenFile {
  /** Reads into the array and returns the number of bytes, 0 at the end of the file. */
  read(into: Uint8Array, at: number): Later<number>;
  /** Writes the bytes and returns their number. */
  write(bytes: Uint8Array, at: number): Later<number>;
  /** Resolves once what was written is stored; with `data`, without the times. */
  sync(data: boolean): Later<void>;
  close(): Later<void>;
}

/**
 * A file, directory or link of a volume. It stands for the same file when that is renamed. Every method throws, or rejects with, a `VolumeError` or an error whose `code` is
 * a name of an errno. Names never contain a slash or a zero byte, and are neither empty nor "." nor "..".
 */
export interface VolumeNode {
  readonly kind: NodeKind;
  /** Its identity, where that is known without looking. */
  readonly identity?: FileIdentity;
  stat(): Later<NodeStat>;
  /** Finds an entry of this directory. A link is not followed. */
  find(name: string): Later<VolumeNode>;
  /** Lists this directory without "." and "..". */
  list(): Later<NodeEntry[]>;
  /** Opens this file. */
  open(flags: OpenFlags): Later<OpenFile>;
  /** Creates a file in this directory and opens it. With `exclusive`, an entry of the name is EEXIST; otherwise a file of the name is opened. */
  create(
    name: string,
    flags: OpenFlags & { exclusive: boolean },
    mode: number,
  ): Later<{ node: VolumeNode; file: OpenFile }>;
  makeDirectory(name: string, mode: number): Later<VolumeNode>;
  makeLink(name: string, target: string): Later<VolumeNode>;
  /** Gives a file of the same volume another name, in this directory. */
  addName(node: VolumeNode, name: string): Later<void>;
  /** Returns the target of this link. */
  target(): Later<string>;
  change(changes: NodeChanges): Later<void>;
  /** Renames an entry of this directory, into another directory of the same volume. */
  rename(name: string, to: VolumeNode, newName: string): Later<void>;
  remove(name: string, kind: "directory" | "file"): Later<void>;
  /** Resolves once the entries of this directory are stored. */
  sync(): Later<void>;
  /**
   * Calls back with the name of an entry of this directory when that may have changed, until the function that it returns is called; with "." for the directory itself, or for an entry that is
   * gone and had a number as its name. Absent where the file system does not tell.
   */
  watch?(onChange: (name: string) => void): () => void;
  /** Whether a watch ends in silence when the directory, or one above it, gets another name. */
  readonly watchesPath?: boolean;
  /** Returns false when watches hold as many files open as this process can spare. */
  hasRoom?(): boolean;
  space(): Later<VolumeSpace>;
  /** Gives up what this object holds. Others that stand for the same file stay. */
  close(): void;
}
