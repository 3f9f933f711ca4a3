import { MemoryNode } from "./memory-nodes.js";
import type { TreeChange, TreeDump } from "./tree-changes.js";
import {
  type DirectoryInode,
  type FileInode,
  type Inode,
  type TreeFollower,
  type TreeLimits,
  TreeState,
} from "./tree-state.js";

export type { TreeChange, TreeDump } from "./tree-changes.js";

/** Room in a tree that nothing else may take. */
export interface Reservation {
  /** Gives up so many of its bytes; without a number, all that are left. */
  release(bytes?: number): void;
}

const DEFAULT_LIMITS: TreeLimits = { maxBytes: 2 ** 30, maxFiles: 2 ** 18, now: () => Date.now() };

/**
 * The files of a volume in memory: whatever Linux permits on a file system that has no special files, no owners and no times of access. Everything is done at once and returned
 * synchronously.
 *
 * @example
 * const tree = new MemoryTree({ maxBytes: 64 * 2 ** 20 });
 * const copy = MemoryTree.load(tree.dump());
 * tree.onChange((change) => copy.apply(change));
 * tree.root().makeDirectory("src", 0o755);
 */
export class MemoryTree {
  readonly #state: TreeState;

  /** Creates an empty tree. By default, it has room for 1 GiB in 262,144 files. */
  constructor(limits: Partial<TreeLimits> = {}) {
    this.#state = new TreeState({ ...DEFAULT_LIMITS, ...limits });
  }

  /** Creates the tree that was dumped. */
  static load({ changes, nextInode }: TreeDump, limits?: Partial<TreeLimits>): MemoryTree {
    const tree = new MemoryTree(limits);
    for (const change of changes) tree.apply(change);
    tree.#state.nextInode = nextInode;
    return tree;
  }

  /** Limits of the tree. */
  get limits(): Omit<TreeLimits, "now"> {
    const { maxBytes, maxFiles } = this.#state;
    return { maxBytes, maxFiles };
  }

  /** Returns the root directory, which the caller closes. */
  root(): MemoryNode {
    return new MemoryNode(this.#state, this.#state.root);
  }

  /** Calls the listener after each change, until the returned function is called. It must not change the tree, and whatever it throws fails the call that made the change. */
  onChange(listener: (change: TreeChange) => void): () => void {
    return this.#addFollower({ onChange: (change, isNamed) => isNamed && listener(change) });
  }

  /**
   * Calls the follower, as {@link onChange} does, for files without a name, too, until the returned function is called. What loses its last name is passed to it as a node, which keeps
   * it until the follower closes that.
   */
  follow({
    onChange,
    onUnnamed,
  }: { onUnnamed(node: MemoryNode): void } & Pick<TreeFollower, "onChange">): () => void {
    return this.#addFollower({
      onChange,
      onUnnamed: (inode) => onUnnamed(new MemoryNode(this.#state, inode)),
    });
  }

  /** Returns what has an inode number, which the caller closes. @throws {VolumeError} ESTALE when nothing does any more */
  node(inode: number): MemoryNode {
    return new MemoryNode(this.#state, this.#state.find(inode));
  }

  /** Returns whether there is something of an inode number. */
  has(inode: number): boolean {
    return this.#state.has(inode);
  }

  /** Returns the number of directories above something; 0 for the root, and where nothing is known of it. */
  depthOf(inode: number): number {
    let depth = 0;
    const found = this.#state.has(inode) ? this.#state.find(inode) : undefined;
    for (let at = found?.kind === "directory" ? found.parent : undefined; at; at = at.parent) depth++;
    return depth;
  }

  /** Returns whether the contents of a file are in a store below the tree, and not here. */
  isAway(inode: number): boolean {
    if (!this.#state.has(inode)) return false;
    const found = this.#state.find(inode);
    return found.kind === "file" && found.isAway;
  }

  /** Bytes that contents may take beyond what they take now, and what is reserved. */
  get freeBytes(): number {
    return this.#state.maxBytes - this.#state.takenBytes;
  }

  /** Keeps room for contents that are about to come. The caller has seen that there is as much. */
  reserve(bytes: number): Reservation {
    let left = bytes;
    this.#state.takenBytes += left;
    return {
      release: (released = left) => {
        const given = Math.min(released, left);
        left -= given;
        this.#state.takenBytes -= given;
      },
    };
  }

  /** Called with the inode number of what is gone. */
  set onForgotten(listener: (inode: number) => void) {
    this.#state.onForgotten = listener;
  }

  #addFollower(follower: TreeFollower): () => void {
    const { followers } = this.#state;
    followers.add(follower);
    return () => followers.delete(follower);
  }

  /**
   * Makes a change of a tree that this one is a copy of. Its limits do not apply.
   *
   * @throws {VolumeError} ESTALE when a change before it is missing, ENOSPC when the host has no memory; nothing is changed then
   */
  apply(change: TreeChange): void {
    this.#state.apply(change);
  }

  /** Returns a copy of the whole tree. Files without a name, which somebody has open, are not in it. */
  dump(): TreeDump {
    const { root, nextInode } = this.#state;
    return { changes: [...changesThatMake(root)], nextInode };
  }
}

function* changesThatMake(root: DirectoryInode): Generator<TreeChange> {
  const seen = new Set<Inode>([root]);
  // The set grows meanwhile: a directory comes before what is in it.
  for (const directory of seen) {
    if (directory.kind !== "directory") continue;
    for (const [name, inode] of directory.entries) {
      yield seen.has(inode) ? linked(directory, name, inode) : made(directory, name, inode);
      if (inode.kind === "file" && !seen.has(inode)) yield* contentsOf(inode);
      seen.add(inode);
    }
  }
  // Times come last, since everything before sets them.
  for (const { inode, mode, mtimeMs, ctimeMs } of seen)
    yield { type: "changed", inode, mode, mtimeMs, atMs: ctimeMs };
}

function made({ inode: parent }: DirectoryInode, name: string, entry: Inode): TreeChange {
  const { inode, kind, mode, ctimeMs: atMs } = entry;
  const target = entry.kind === "link" && { target: entry.target };
  return { type: "made", inode, kind, mode, ...target, parent, name, atMs };
}

function linked({ inode: parent }: DirectoryInode, name: string, entry: Inode): TreeChange {
  return { type: "linked", inode: entry.inode, parent, name, atMs: entry.ctimeMs };
}

function* contentsOf({ inode, contents, isAway, mtimeMs, ctimeMs: atMs }: FileInode): Generator<TreeChange> {
  if (isAway) return yield { type: "away", inode, size: contents.size, mtimeMs, isSame: false, atMs };
  for (const { at, bytes } of contents.written()) yield { type: "written", inode, at, bytes, atMs };
  yield { type: "resized", inode, size: contents.size, atMs };
}
