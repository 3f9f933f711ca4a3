import { VolumeError } from "./errno.js";
import type { MemoryNode } from "./memory-nodes.js";
import type { MemoryTree } from "./memory-tree.js";

/** Links that a path may go over, as in Linux. */
const MAX_LINKS = 40;
const FOLDER_MODE = 0o755;

/** Where a path leads to. */
export interface Place {
  /** Directory that has the name. */
  folder: MemoryNode;
  name: string;
  /** Node of that name; undefined when there is none. */
  node: MemoryNode | undefined;
}

/** How to go along a path. */
export interface WalkOptions {
  /** Whether the last name, when it is that of a link, is followed, too. */
  follow: boolean;
  /** Whether directories that are missing before the last name are created. */
  make?: boolean;
}

/** Does something with nodes of a tree, all of which are closed afterwards. */
export function walking<T>(tree: MemoryTree, use: (walk: Walk) => T): T {
  const walk = new Walk(tree.root());
  try {
    return use(walk);
  } finally {
    walk.close();
  }
}

/** Goes along paths in a tree, and holds the nodes on its way. */
export class Walk {
  readonly #held: MemoryNode[] = [];

  constructor(readonly root: MemoryNode) {
    this.hold(root);
  }

  close(): void {
    for (const node of this.#held) node.close();
  }

  hold(node: MemoryNode): MemoryNode {
    this.#held.push(node);
    return node;
  }

  /**
   * Finds what has a path.
   *
   * @throws {VolumeError} ENOENT, ENOTDIR, ELOOP; EXDEV when the path leads out of the tree
   */
  find(path: string, follow: boolean): MemoryNode {
    const { node } = this.place(path, { follow });
    if (!node) throw new VolumeError("ENOENT");
    return node;
  }

  /** Finds the place of a path, which may be empty. The root is in itself, without a name. */
  place(path: string, { follow, make = false }: WalkOptions): Place {
    const folders = [this.root];
    const pending = namesOf(path);
    for (let links = 0; pending.length > 0; ) {
      const folder = folders.at(-1)!;
      const name = pending.pop()!;
      if (name === "..") {
        if (folders.length === 1) throw new VolumeError("EXDEV");
        folders.pop();
        continue;
      }
      const isLast = pending.length === 0;
      const node = this.#entry(folder, name) ?? (make && !isLast ? this.#make(folder, name) : undefined);
      if (node?.kind === "link" && (follow || !isLast)) {
        if (++links > MAX_LINKS) throw new VolumeError("ELOOP");
        const target = node.target();
        // Its target is a path in the box, which is not known here.
        if (target.startsWith("/")) throw new VolumeError("EXDEV");
        pending.push(...namesOf(target));
      } else if (isLast) return { folder, name, node };
      else if (!node) throw new VolumeError("ENOENT");
      else folders.push(node);
    }
    const last = folders.at(-1)!;
    return { folder: last, name: "", node: last };
  }

  /** Returns an entry of a directory, if there is one. */
  #entry(folder: MemoryNode, name: string): MemoryNode | undefined {
    try {
      return this.hold(folder.find(name));
    } catch (error) {
      if (error instanceof VolumeError && error.errno === "ENOENT") return undefined;
      throw error;
    }
  }

  #make(folder: MemoryNode, name: string): MemoryNode {
    return this.hold(folder.makeDirectory(name, FOLDER_MODE));
  }
}

/** Returns the names of a path, the first one last. */
function namesOf(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  return names.reverse();
}
