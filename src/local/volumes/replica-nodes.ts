import { VolumeError } from "./errno.js";
import type { MemoryNode } from "./memory-nodes.js";
import type { TreeReplica } from "./tree-replica.js";
import type {
  Later,
  NodeChanges,
  NodeEntry,
  NodeKind,
  NodeStat,
  OpenFile,
  OpenFlags,
  VolumeNode,
  VolumeSpace,
} from "./volume-files.js";

/** A file, directory or link of a replica. */
export class ReplicaNode implements VolumeNode {
  readonly kind: NodeKind;
  readonly #replica: TreeReplica;
  readonly #held: MemoryNode;

  /** Takes over the node of the replica's tree. */
  constructor(replica: TreeReplica, held: MemoryNode) {
    this.#replica = replica;
    this.#held = held;
    this.kind = held.kind;
  }

  /** Returns the root directory of a replica that is loaded. The caller closes it. */
  static root(replica: TreeReplica): ReplicaNode {
    return new ReplicaNode(replica, replica.tree().root());
  }

  stat(): NodeStat {
    return this.#node().stat();
  }

  find(name: string): ReplicaNode {
    return new ReplicaNode(this.#replica, this.#node().find(name));
  }

  list(): NodeEntry[] {
    return this.#node().list();
  }

  open(flags: OpenFlags): Later<OpenFile> {
    const file = this.#open(flags);
    if (!flags.truncate) return file;
    return this.#replica.ask({ op: "truncate", inode: this.#inode() }).then(
      () => file,
      (error) => {
        file.close();
        throw error;
      },
    );
  }

  async create(
    name: string,
    { exclusive, ...flags }: OpenFlags & { exclusive: boolean },
    mode: number,
  ): Promise<{ node: VolumeNode; file: OpenFile }> {
    const { truncate } = flags;
    const node = await this.#make({ op: "create", parent: this.#inode(), name, exclusive, truncate, mode });
    try {
      return { node, file: node.#open(flags) };
    } catch (error) {
      node.close();
      throw error;
    }
  }

  makeDirectory(name: string, mode: number): Promise<VolumeNode> {
    return this.#make({ op: "mkdir", parent: this.#inode(), name, mode });
  }

  makeLink(name: string, target: string): Promise<VolumeNode> {
    return this.#make({ op: "symlink", parent: this.#inode(), name, target });
  }

  async addName(node: VolumeNode, name: string): Promise<void> {
    if (!this.#isNeighbour(node)) throw new VolumeError("EXDEV");
    await this.#replica.ask({ op: "link", inode: node.#inode(), parent: this.#inode(), name });
  }

  target(): string {
    return this.#node().target();
  }

  async change({ mode, size, mtimeMs }: NodeChanges): Promise<void> {
    await this.#replica.ask({
      op: "change",
      inode: this.#inode(),
      ...(mode !== undefined && { mode }),
      ...(size !== undefined && { size }),
      ...(mtimeMs !== undefined && { mtimeMs }),
    });
  }

  async rename(name: string, to: VolumeNode, newName: string): Promise<void> {
    if (!this.#isNeighbour(to)) throw new VolumeError("EXDEV");
    const [parent, newParent] = [this.#inode(), to.#inode()];
    await this.#replica.ask({ op: "rename", parent, name, newParent, newName });
  }

  async remove(name: string, kind: "directory" | "file"): Promise<void> {
    await this.#replica.ask({ op: "remove", parent: this.#inode(), name, kind });
  }

  sync(): Later<void> {
    if (this.#replica.isStored) return telling(this.#replica, "sync", this.#inode());
  }

  space(): VolumeSpace {
    return this.#node().space();
  }

  close(): void {
    this.#held.close();
  }

  async #make(request: Parameters<TreeReplica["make"]>[0]): Promise<ReplicaNode> {
    return new ReplicaNode(this.#replica, await this.#replica.make(request));
  }

  #open(flags: OpenFlags): ReplicaFile {
    const file = this.#node().open({ ...flags, truncate: false });
    return new ReplicaFile(this.#replica, file, this.#inode(), flags);
  }

  #isNeighbour(node: VolumeNode): node is ReplicaNode {
    return node instanceof ReplicaNode && node.#replica === this.#replica;
  }

  /** Returns the node of the tree, as long as that is up to date. */
  #node(): MemoryNode {
    this.#replica.tree();
    return this.#held;
  }

  #inode(): number {
    return this.#node().stat().inode;
  }
}

/** A file of a replica that is open. */
class ReplicaFile implements OpenFile {
  #closed = false;
  #isWritten = false;

  constructor(
    private readonly replica: TreeReplica,
    private readonly file: OpenFile,
    private readonly inode: number,
    private readonly flags: OpenFlags,
  ) {}

  read(into: Uint8Array, at: number): Later<number> {
    const { replica, inode } = this;
    if (!replica.tree().isAway(inode)) return this.file.read(into, at);
    return replica.load(inode, () => this.file.read(into, at) as number);
  }

  write(bytes: Uint8Array, at: number): Later<number> {
    const { inode, flags } = this;
    if (this.#closed || !flags.write) throw new VolumeError("EBADF");
    if (bytes.byteLength === 0) return 0;
    this.#isWritten = true;
    // The array is part of the guest's request, and this copy changes hands.
    return this.replica.ask({ op: "write", inode, at, bytes: new Uint8Array(bytes), append: flags.append });
  }

  sync(): Later<void> {
    if (this.replica.isStored) return telling(this.replica, "sync", this.inode);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.file.close();
    const { replica, inode } = this;
    // Nobody waits for it.
    if (this.#isWritten && replica.isStored) telling(replica, "closed", inode).catch(() => {});
  }
}

async function telling(replica: TreeReplica, op: "sync" | "closed", inode: number): Promise<void> {
  await replica.ask({ op, inode });
}
