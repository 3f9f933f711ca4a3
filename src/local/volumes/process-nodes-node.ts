import { VolumeError } from "./errno.js";
import type { NodeNumber } from "./file-calls.js";
import type { FileProcess } from "./file-process-client-node.js";
import type {
  FileIdentity,
  NodeChanges,
  NodeEntry,
  NodeKind,
  NodeStat,
  OpenFile,
  OpenFlags,
  VolumeNode,
  VolumeSpace,
} from "./volume-files.js";

/** A file, directory or link that another process has open. */
export class ProcessNode implements VolumeNode {
  constructor(
    protected readonly process: FileProcess,
    private readonly self: NodeNumber,
  ) {}

  get kind(): NodeKind {
    return this.self.kind;
  }

  get identity(): FileIdentity {
    return this.self;
  }

  stat(): Promise<NodeStat> {
    return this.process.call("stat", this.self.number);
  }

  async find(name: string): Promise<VolumeNode> {
    return this.adopt(await this.process.call("find", this.self.number, name));
  }

  list(): Promise<NodeEntry[]> {
    return this.process.call("list", this.self.number);
  }

  async open(flags: OpenFlags): Promise<OpenFile> {
    return new ProcessFile(this.process, await this.process.call("open", this.self.number, flags));
  }

  async create(name: string, flags: OpenFlags & { exclusive: boolean }, mode: number) {
    const { node, file } = await this.process.call("create", this.self.number, name, flags, mode);
    return { node: this.adopt(node), file: new ProcessFile(this.process, file) };
  }

  async makeDirectory(name: string, mode: number): Promise<VolumeNode> {
    return this.adopt(await this.process.call("makeDirectory", this.self.number, name, mode));
  }

  async makeLink(name: string, target: string): Promise<VolumeNode> {
    return this.adopt(await this.process.call("makeLink", this.self.number, name, target));
  }

  addName(node: VolumeNode, name: string): Promise<void> {
    return this.process.call("addName", this.self.number, this.neighbour(node), name);
  }

  target(): Promise<string> {
    return this.process.call("target", this.self.number);
  }

  change(changes: NodeChanges): Promise<void> {
    return this.process.call("change", this.self.number, changes);
  }

  rename(name: string, to: VolumeNode, newName: string): Promise<void> {
    return this.process.call("rename", this.self.number, name, this.neighbour(to), newName);
  }

  remove(name: string, kind: "directory" | "file"): Promise<void> {
    return this.process.call("remove", this.self.number, name, kind);
  }

  sync(): Promise<void> {
    return this.process.call("syncDirectory", this.self.number);
  }

  space(): Promise<VolumeSpace> {
    return this.process.call("space", this.self.number);
  }

  close(): void {
    this.process.release(this.self.number);
  }

  private adopt(number: NodeNumber): ProcessNode {
    return new ProcessNode(this.process, number);
  }

  /** Returns the number of another node of this volume. */
  private neighbour(node: VolumeNode): number {
    if (node instanceof ProcessNode && node.process === this.process) return node.self.number;
    throw new VolumeError("EXDEV");
  }
}

/** The directory of a volume. It has the process. */
export class ProcessRoot extends ProcessNode {
  override close(): void {
    this.process.end();
  }
}

/** A file that another process has open. */
class ProcessFile implements OpenFile {
  constructor(
    private readonly process: FileProcess,
    private readonly number: number,
  ) {}

  async read(into: Uint8Array, at: number): Promise<number> {
    const bytes = await this.process.call("read", this.number, into.byteLength, at);
    into.set(bytes);
    return bytes.byteLength;
  }

  write(bytes: Uint8Array, at: number): Promise<number> {
    return this.process.call("write", this.number, bytes, at);
  }

  sync(data: boolean): Promise<void> {
    return this.process.call("syncFile", this.number, data);
  }

  close(): Promise<void> {
    return this.process.call("close", this.number);
  }
}
