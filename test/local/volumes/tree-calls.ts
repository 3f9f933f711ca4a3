import { VolumeError } from "../../../src/local/volumes/errno.js";
import type { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import type { VolumeNode } from "../../../src/local/volumes/volume-files.js";

/** A node of a tree in memory, whose calls are synchronous. */
export type MemoryNode = ReturnType<MemoryTree["root"]>;

export const READ = { read: true, write: false, truncate: false, append: false };
export const WRITE = { ...READ, read: false, write: true };
export const BOTH = { ...READ, write: true };
/** As `open(path, O_RDWR | O_CREAT)`. */
export const ANY = { ...BOTH, exclusive: false };
/** As `open(path, O_RDWR | O_CREAT | O_EXCL)`. */
export const NEW = { ...BOTH, exclusive: true };

/** Returns the name of the error that a call fails with, or undefined. */
export function errnoOf(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    if (error instanceof VolumeError) return error.errno;
    throw error;
  }
  return undefined;
}

/** Returns a node by its path, which the caller closes where that matters. */
export function at(tree: MemoryTree, path: string): MemoryNode {
  let node = tree.root();
  for (const name of path.split("/").filter(Boolean)) {
    const folder = node;
    node = folder.find(name);
    folder.close();
  }
  return node;
}

/** Writes a file whole, by its path. */
export function put(tree: MemoryTree, path: string, contents: string | Uint8Array, mode = 0o644): void {
  const [, folder, name] = /^(.*?)([^/]+)$/.exec(path)!;
  const { node, file } = at(tree, folder!).create(name!, { ...ANY, truncate: true }, mode);
  const bytes = typeof contents === "string" ? Buffer.from(contents) : contents;
  for (let written = 0; written < bytes.length; )
    written += file.write(bytes.subarray(written), written) as number;
  file.close();
  node.close();
}

/** Reads a file whole, as a character for each byte. */
export function contentsOf(node: MemoryNode): string {
  const file = node.open(READ);
  const bytes = Buffer.alloc(node.stat().size + 1, "?");
  const length = file.read(bytes, 0) as number;
  file.close();
  return bytes.toString("latin1", 0, length);
}

/** Reads a file whole, as {@link contentsOf} does, where calls may take time. */
export async function contentsLater(node: VolumeNode): Promise<string> {
  const file = await node.open(READ);
  const bytes = Buffer.alloc((await node.stat()).size + 1, "?");
  const length = await file.read(bytes, 0);
  await file.close();
  return bytes.toString("latin1", 0, length);
}

/** Reads a file by its path. */
export function text(tree: MemoryTree, path: string): string {
  const node = at(tree, path);
  const contents = contentsOf(node);
  node.close();
  return contents;
}

/** Describes all there is to see in a tree, in order: a line for each name, and with `contents` what is in the files. */
export function describeTree(tree: MemoryTree, contents = true): string[] {
  const lines: string[] = [];
  const visit = (node: MemoryNode, path: string) => {
    const facts = Object.values(node.stat()).join(" ");
    const inside =
      node.kind === "link" ? node.target() : node.kind === "file" && contents && contentsOf(node);
    lines.push(`${path} ${facts} ${inside || ""}`);
    for (const { name } of node.kind === "directory" ? node.list() : []) {
      const entry = node.find(name);
      visit(entry, `${path}/${name}`);
      entry.close();
    }
  };
  visit(tree.root(), "");
  return lines;
}
