import * as fs from "node:fs";
import type { NodeKind, NodeStat, VolumeNode } from "../../../src/local/volumes/volume-files.js";
import { contentsLater } from "./tree-calls.js";

/** Facts about files that are the same in a tree in memory and in a folder of the host. */
export class Facts {
  /** Whether the host counts the directories in a directory. Not every file system does. */
  readonly #countsFolders: boolean;

  /** Takes an empty folder of the host. */
  constructor(folder: string) {
    this.#countsFolders = fs.statSync(folder).nlink === 2;
  }

  inTree({ kind, mode, links, size }: Pick<NodeStat, "kind" | "mode" | "links" | "size">): object {
    if (kind === "directory") return { kind, mode, ...(this.#countsFolders && { links }) };
    return { kind, mode, links, size };
  }

  onHost(stats: fs.Stats): object {
    const kind: NodeKind = stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "link";
    return this.inTree({ kind, mode: stats.mode & 0o1777, links: stats.nlink, size: stats.size });
  }
}

/** Describes every name in a tree: facts, contents, and which one before it is the same file. */
export async function listTree(root: VolumeNode, facts: Facts): Promise<object[]> {
  const inodes: number[] = [];
  const visit = async (node: VolumeNode, path: string): Promise<object[]> => {
    const stat = await node.stat();
    const contents =
      node.kind === "file" ? await contentsLater(node) : node.kind === "link" ? await node.target() : "";
    const lines: object[] = [{ path, ...facts.inTree(stat), contents, sameAs: firstOf(inodes, stat.inode) }];
    const names = node.kind === "directory" ? (await node.list()).map(({ name }) => name) : [];
    for (const name of names.sort()) {
      const entry = await node.find(name);
      lines.push(...(await visit(entry, `${path}/${name}`)));
      entry.close();
    }
    return lines;
  };
  return visit(root, "");
}

/** Describes every name in a folder of the host, as {@link listTree} does. */
export function listHost(folder: string, facts: Facts): object[] {
  const inodes: number[] = [];
  const visit = (path: string): object[] => {
    const real = Buffer.from(folder + path, "latin1");
    const stats = fs.lstatSync(real);
    const contents = stats.isFile()
      ? fs.readFileSync(real, "latin1")
      : stats.isSymbolicLink()
        ? fs.readlinkSync(real, "latin1")
        : "";
    const line = { path, ...facts.onHost(stats), contents, sameAs: firstOf(inodes, stats.ino) };
    const names = stats.isDirectory() ? fs.readdirSync(real, "latin1") : [];
    return [line, ...names.sort().flatMap((name) => visit(`${path}/${name}`))];
  };
  return visit("");
}

/** Returns the position at which a number was first seen. */
function firstOf(seen: number[], number: number): number {
  seen.push(number);
  return seen.indexOf(number);
}
