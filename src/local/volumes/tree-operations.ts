import type { FileEntry, FileOperation } from "../../backend/backend.js";
import { latin1 } from "../../util/byte-reader.js";
import { VolumeError } from "./errno.js";
import type { MemoryNode } from "./memory-nodes.js";
import type { MemoryTree } from "./memory-tree.js";
import { type Walk, walking } from "./tree-walk.js";
import type { OpenFlags } from "./volume-files.js";

const NEW_FILE_MODE = 0o644;
const READ: OpenFlags = { read: true, write: false, truncate: false, append: false };
const CREATE = { ...READ, read: false, write: true, exclusive: false };

/**
 * Performs an operation on the files of a tree, whose root is "/". Links lead to where they do in a box, unless that may be outside of the tree: then the operation is refused.
 *
 * @throws {VolumeError} the errno with which a box refuses it; EXDEV when a link leads out of the tree
 */
export function operateOnTree(tree: MemoryTree, operation: FileOperation): FileEntry[] {
  return walking(tree, (walk) => {
    const path = latin1(operation.path);
    switch (operation.op) {
      case "stat":
        return [entryOf(walk.find(path, operation.followLinks), "")];
      case "list":
        return list(walk, walk.find(path, true));
      case "mkdir":
        makeDirectory(walk, path, operation);
        return [];
      case "rename":
        rename(walk, path, latin1(operation.to));
        return [];
      case "remove":
        remove(walk, path, false);
        return [];
    }
  });
}

/** Reads a file of a tree, as {@link operateOnTree} finds it. */
export function readTreeFile(tree: MemoryTree, path: Uint8Array): Uint8Array {
  return walking(tree, (walk) => {
    const node = walk.find(latin1(path), true);
    const file = node.open(READ);
    const contents = new Uint8Array(node.stat().size);
    file.read(contents, 0);
    file.close();
    return contents;
  });
}

/**
 * Writes a file of a tree, completely or not at all. Creates the directories of its path. An existing file stays the same file, for all its names and for those who have it open,
 * and keeps its mode unless one is given.
 *
 * @throws {VolumeError} as {@link operateOnTree} does; ENOSPC when there is no room for it
 */
export function writeTreeFile(tree: MemoryTree, path: Uint8Array, contents: Uint8Array, mode?: number): void {
  walking(tree, (walk) => {
    const { folder, name, node } = walk.place(latin1(path), { follow: true, make: true });
    if (node?.kind === "directory") throw new VolumeError("EISDIR");
    if (node) {
      node.replace(contents);
      if (mode !== undefined) node.change({ mode });
      return;
    }
    const created = folder.create(name, CREATE, mode ?? NEW_FILE_MODE);
    created.file.close();
    try {
      walk.hold(created.node).replace(contents);
    } catch (error) {
      folder.remove(name, "file");
      throw error;
    }
  });
}

/** Removes a file, or a directory with everything in it. */
export function removeFromTree(tree: MemoryTree, path: Uint8Array): void {
  walking(tree, (walk) => remove(walk, latin1(path), true));
}

function list(walk: Walk, folder: MemoryNode): FileEntry[] {
  return folder.list().map(({ name }) => entryOf(walk.hold(folder.find(name)), name));
}

function makeDirectory(
  walk: Walk,
  path: string,
  { mode, recursive }: { mode: number; recursive: boolean },
): void {
  const { folder, name, node } = walk.place(path, { follow: recursive, make: recursive });
  if (node?.kind === "directory" && recursive) return;
  if (node) throw new VolumeError("EEXIST");
  walk.hold(folder.makeDirectory(name, mode));
}

function rename(walk: Walk, path: string, to: string): void {
  const [from, into] = [path, to].map((at) => walk.place(at, { follow: false }));
  if (from!.name === "" || into!.name === "") throw new VolumeError("EBUSY");
  from!.folder.rename(from!.name, into!.folder, into!.name);
}

function remove(walk: Walk, path: string, recursive: boolean): void {
  const { folder, name, node } = walk.place(path, { follow: false });
  if (!node) throw new VolumeError("ENOENT");
  if (name === "") throw new VolumeError(recursive ? "EBUSY" : "EISDIR");
  if (recursive) removeWithEntries(walk, { folder, name, node });
  else folder.remove(name, "file");
}

/** Removes an entry, those in it before it. It does not call itself: directories may be nested as deep as a program likes. */
function removeWithEntries(walk: Walk, entry: { folder: MemoryNode; name: string; node: MemoryNode }): void {
  const pending = [{ ...entry, isEmpty: false }];
  for (let last = pending.at(-1); last; last = pending.at(-1)) {
    const { folder, name, node, isEmpty } = last;
    if (node.kind !== "directory" || isEmpty) {
      folder.remove(name, node.kind === "directory" ? "directory" : "file");
      pending.pop();
      continue;
    }
    last.isEmpty = true;
    for (const { name } of node.list())
      pending.push({ folder: node, name, node: walk.hold(node.find(name)), isEmpty: false });
  }
}

function entryOf(node: MemoryNode, name: string): FileEntry {
  const { kind, size, mode, mtimeMs, uid, gid } = node.stat();
  return {
    name: Uint8Array.from(name, (byte) => byte.charCodeAt(0)),
    type: kind === "link" ? "symlink" : kind,
    size,
    mode,
    modifiedAt: new Date(mtimeMs),
    uid,
    gid,
  };
}
