/** Calls between the server of a volume and the process that opens its files. */
import type { NodeChanges, NodeEntry, NodeKind, NodeStat, OpenFlags, VolumeSpace } from "./volume-files.js";

/** A node in the process: its number there, and what does not change. */
export interface NodeNumber {
  number: number;
  kind: NodeKind;
  device: number;
  inode: number;
}

/** A directory of the host that is to be a volume. */
export interface HostDirectory {
  hostPath: string;
  readonly: boolean;
  within?: readonly string[];
}

/** The calls. `node` and `file` are numbers that earlier calls have returned. Each throws what `VolumeNode` and `OpenFile` throw. */
export interface FileCalls {
  /** Opens the directory, once and first. @throws {BoxRunError} VALIDATION_ERROR, UNSUPPORTED */
  volume(directory: HostDirectory): NodeNumber;
  stat(node: number): NodeStat;
  find(node: number, name: string): NodeNumber;
  list(node: number): NodeEntry[];
  open(node: number, flags: OpenFlags): number;
  create(
    node: number,
    name: string,
    flags: OpenFlags & { exclusive: boolean },
    mode: number,
  ): { node: NodeNumber; file: number };
  makeDirectory(node: number, name: string, mode: number): NodeNumber;
  makeLink(node: number, name: string, target: string): NodeNumber;
  addName(node: number, other: number, name: string): void;
  target(node: number): string;
  change(node: number, changes: NodeChanges): void;
  rename(node: number, name: string, to: number, newName: string): void;
  remove(node: number, name: string, kind: "directory" | "file"): void;
  syncDirectory(node: number): void;
  space(node: number): VolumeSpace;
  read(file: number, bytes: number, at: number): Uint8Array;
  write(file: number, bytes: Uint8Array, at: number): number;
  syncFile(file: number, data: boolean): void;
  /** Closes a node or a file. */
  close(number: number): void;
}

/** Name of a call. */
export type FileCallName = keyof FileCalls;

/** A call, as it is sent. */
export interface FileRequest<Name extends FileCallName = FileCallName> {
  id: number;
  call: Name;
  args: Parameters<FileCalls[Name]>;
}

/** The answer to a call: its result, the name of an errno, or the error of a directory that cannot be a volume. */
export type FileAnswer = { id: number } & (
  | { result: unknown }
  | { errno: string }
  | { code: string; message: string }
);
