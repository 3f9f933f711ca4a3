import type { MemoryTree } from "./memory-tree.js";
import type { TreeChange } from "./tree-changes.js";
import { MAX_PATH_BYTES } from "./volume-files.js";

/** A change of a tree, as one who watches its paths sees it. Paths begin with a slash, and have a character for each byte. */
export type TreeEvent =
  | {
      /** Kind of the change. "changed" is of contents, mode or time. "overflow" is any change below the path, of something whose own path is too long for a program to use. */
      type: "created" | "changed" | "removed" | "overflow";
      path: string;
    }
  | {
      type: "renamed";
      /** The path before. What is in a directory moves with it. */
      path: string;
      /** The path now. What had it before is gone. */
      to: string;
    };

const ROOT_INODE = 1;

/**
 * Calls the listener with what each change of a tree means for its paths, until the returned function is called. A file with several names has an event for each.
 *
 * @example
 * const stop = watchTree(tree, (event) => console.log(event.type, event.path));
 */
export function watchTree(tree: MemoryTree, listener: (event: TreeEvent) => void): () => void {
  const names = new TreeNames(tree);
  return tree.onChange((change) => {
    for (const event of names.eventsOf(change)) listener(event);
  });
}

interface Name {
  /** Inode number of the directory. */
  parent: number;
  name: string;
}

const keyOf = ({ parent, name }: Name) => `${parent}/${name}`;

/** The names of all files, kept up to date by the changes. */
class TreeNames {
  /** Inode numbers, by the keys of names. */
  readonly #inodes = new Map<string, number>();
  /** The names that an inode has, by their keys. */
  readonly #names = new Map<number, Map<string, Name>>();

  constructor(tree: MemoryTree) {
    const folders = [tree.root()];
    for (let folder = folders.pop(); folder; folder = folders.pop()) {
      const parent = folder.stat().inode;
      for (const { name, kind, inode } of folder.list()) {
        this.#add({ parent, name }, inode);
        if (kind === "directory") folders.push(folder.find(name));
      }
      folder.close();
    }
  }

  /** Takes a change that has been made, and returns what it means. */
  eventsOf(change: TreeChange): TreeEvent[] {
    switch (change.type) {
      case "made":
      case "linked":
        this.#add(change, change.inode);
        return [this.#event("created", change)];
      case "removed":
        this.#remove(change);
        return [this.#event("removed", change)];
      case "renamed": {
        const now = { parent: change.newParent, name: change.newName };
        const before = this.#event("removed", change);
        this.#remove(change);
        this.#remove(now);
        this.#add(now, change.inode);
        const after = this.#event("created", now);
        if (before.type === "overflow" || after.type === "overflow")
          // What is in a directory that has come is told of by nothing else.
          return [before, after, { type: "overflow", path: after.path }];
        return [{ type: "renamed", path: before.path, to: after.path }];
      }
      case "loaded":
        return [];
      case "away":
        if (change.isSame) return [];
        break;
    }
    return this.#eventsOfInode(change.inode);
  }

  #add({ parent, name }: Name, inode: number): void {
    const key = keyOf({ parent, name });
    const names = this.#names.get(inode) ?? new Map<string, Name>();
    this.#names.set(inode, names.set(key, { parent, name }));
    this.#inodes.set(key, inode);
  }

  #remove(name: Name): void {
    const key = keyOf(name);
    const inode = this.#inodes.get(key);
    if (inode === undefined) return;
    this.#inodes.delete(key);
    const names = this.#names.get(inode);
    names?.delete(key);
    if (names?.size === 0) this.#names.delete(inode);
  }

  #eventsOfInode(inode: number): TreeEvent[] {
    if (inode === ROOT_INODE) return [{ type: "changed", path: "/" }];
    return [...(this.#names.get(inode)?.values() ?? [])].map((name) => this.#event("changed", name));
  }

  /** Returns the event of a name, or "overflow" for the directory with the longest path above it that is not too long. */
  #event(
    type: "created" | "changed" | "removed",
    { parent, name }: Name,
  ): Exclude<TreeEvent, { to: string }> {
    const names = [name];
    for (let inode = parent; inode !== ROOT_INODE; ) {
      // A directory has one name.
      const [folder] = this.#names.get(inode)!.values();
      names.push(folder!.name);
      inode = folder!.parent;
    }
    let path = "";
    for (const step of names.reverse()) {
      if (path.length + 1 + step.length > MAX_PATH_BYTES) return { type: "overflow", path };
      path += `/${step}`;
    }
    return { type, path };
  }
}
