import { VolumeError } from "./errno.js";
import type { MemoryTree } from "./memory-tree.js";
import { isTemporary } from "./temporary-names.js";
import { type TreeEvent, watchTree } from "./tree-events.js";
import { walking } from "./tree-walk.js";
import type { VolumeChange, WatchListener } from "./volume-calls.js";
import { MAX_PATH_BYTES } from "./volume-files.js";

/** Most entries of a directory that has come of which a reader is told. */
const MAX_NAMES = 4096;

/**
 * Watches a file of a tree, or a directory with its entries, or all below it, until the returned function is called or it is gone.
 *
 * @param root its path without links, "" for the root of the tree
 * @throws {VolumeError} ENAMETOOLONG
 */
export function watchInTree(
  tree: MemoryTree,
  root: string,
  recursive: boolean,
  listener: Pick<WatchListener, "onChange" | "onEnd">,
): () => void {
  if (root.length > MAX_PATH_BYTES) throw new VolumeError("ENAMETOOLONG");
  const onChange = (change: VolumeChange) => listener.onChange(change);
  /** Returns a path from the root of the watch on; undefined for what is not watched. */
  const within = (path: string): string | undefined => {
    if (path === (root || "/")) return "";
    if (!path.startsWith(`${root}/`) || isTemporary(nameOf(path))) return undefined;
    const rest = path.slice(root.length);
    return recursive || rest.lastIndexOf("/") === 0 ? rest : undefined;
  };
  const appear = (path: string, at: string): void => {
    onChange({ type: "created", path: at });
    if (!recursive) return;
    const { names, isAll } = namesBelow(tree, path);
    for (const below of names) onChange({ type: "created", path: `${at}${below}` });
    if (!isAll) onChange({ type: "overflow", path: "" });
  };
  const take = (event: TreeEvent): void => {
    if (event.type === "overflow") {
      const isRelated = isAtOrBelow(event.path, root) || isAtOrBelow(root, event.path);
      if (recursive && isRelated) onChange({ type: "overflow", path: "" });
      return;
    }
    const from = within(event.path);
    if (event.type !== "renamed") {
      if (from !== undefined) onChange({ type: event.type, path: from });
      return;
    }
    const path = within(event.to);
    if (from !== undefined && path) onChange({ type: "renamed", path, from });
    else if (path !== undefined) appear(event.to, path);
    else if (from) onChange({ type: "removed", path: from });
  };
  const stop = watchTree(tree, (event) => {
    take(event);
    const gone = event.type === "removed" || event.type === "renamed" ? event.path : undefined;
    if (gone === undefined || !isAtOrBelow(root, gone)) return;
    stop();
    if (event.type === "renamed" || root !== gone) onChange({ type: "removed", path: "" });
    listener.onEnd();
  });
  return stop;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** Returns the paths of what is below something: all, or as many as a reader is told of. */
function namesBelow(tree: MemoryTree, path: string): { names: string[]; isAll: boolean } {
  const names: string[] = [];
  let isAll = true;
  walking(tree, (walk) => {
    const pending = [{ node: walk.find(path, false), at: "" }];
    for (let next = pending.pop(); next && isAll; next = pending.pop()) {
      const { node, at } = next;
      if (node.kind !== "directory") continue;
      for (const { name } of node.list()) {
        const below = `${at}/${name}`;
        isAll &&= names.length < MAX_NAMES && path.length + below.length <= MAX_PATH_BYTES;
        if (!isAll) break;
        names.push(below);
        pending.push({ node: walk.hold(node.find(name)), at: below });
      }
    }
  });
  return { names, isAll };
}
