import { VolumeError } from "./errno.js";
import type { FileCalls, HostDirectory, NodeNumber } from "./file-calls.js";
import type { FileNode, HostFile } from "./files-node.js";
import { openHostDirectory } from "./host-directory-node.js";
import type { NodeChanges, OpenFlags } from "./volume-files.js";

/** Files of the host and nodes of them, by numbers for another process. */
export class FilesByNumber implements FileCalls {
  private readonly nodes = new Map<number, FileNode>();
  private readonly files = new Map<number, HostFile>();
  private lastNumber = 0;

  volume(directory: HostDirectory): NodeNumber {
    return this.numberNode(openHostDirectory(directory).root);
  }

  stat(node: number) {
    return this.node(node).stat();
  }

  find(node: number, name: string): NodeNumber {
    return this.numberNode(this.node(node).find(name));
  }

  list(node: number) {
    return this.node(node).list();
  }

  open(node: number, flags: OpenFlags): number {
    return this.numberFile(this.node(node).open(flags));
  }

  create(node: number, name: string, flags: OpenFlags & { exclusive: boolean }, mode: number) {
    const made = this.node(node).create(name, flags, mode);
    return { node: this.numberNode(made.node), file: this.numberFile(made.file) };
  }

  makeDirectory(node: number, name: string, mode: number): NodeNumber {
    return this.numberNode(this.node(node).makeDirectory(name, mode));
  }

  makeLink(node: number, name: string, target: string): NodeNumber {
    return this.numberNode(this.node(node).makeLink(name, target));
  }

  addName(node: number, other: number, name: string): void {
    this.node(node).addName(this.node(other), name);
  }

  target(node: number): string {
    return this.node(node).target();
  }

  change(node: number, changes: NodeChanges): void {
    this.node(node).change(changes);
  }

  rename(node: number, name: string, to: number, newName: string): void {
    this.node(node).rename(name, this.node(to), newName);
  }

  remove(node: number, name: string, kind: "directory" | "file"): void {
    this.node(node).remove(name, kind);
  }

  syncDirectory(node: number): void {
    this.node(node).sync();
  }

  space(node: number) {
    return this.node(node).space();
  }

  read(file: number, bytes: number, at: number): Uint8Array {
    const into = new Uint8Array(bytes);
    return into.subarray(0, this.file(file).read(into, at));
  }

  write(file: number, bytes: Uint8Array, at: number): number {
    return this.file(file).write(bytes, at);
  }

  syncFile(file: number, data: boolean): void {
    this.file(file).sync(data);
  }

  close(number: number): void {
    const open = this.nodes.get(number) ?? this.files.get(number);
    this.nodes.delete(number);
    this.files.delete(number);
    open?.close();
  }

  private numberNode(node: FileNode): NodeNumber {
    const number = ++this.lastNumber;
    this.nodes.set(number, node);
    return { number, ...node.identity };
  }

  private numberFile(file: HostFile): number {
    const number = ++this.lastNumber;
    this.files.set(number, file);
    return number;
  }

  private node(number: number): FileNode {
    return found(this.nodes, number);
  }

  private file(number: number): HostFile {
    return found(this.files, number);
  }
}

function found<T>(table: Map<number, T>, number: number): T {
  const there = table.get(number);
  if (there === undefined) throw new VolumeError("EBADF");
  return there;
}
