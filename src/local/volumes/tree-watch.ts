import type { MemoryTree } from "./memory-tree.js";
import { isTemporary } from "./temporary-names.js";
import { type TreeEvent, watchTree } from "./tree-events.js";
import { walking } from "./tree-walk.js";
import type { VolumeChange, WatchListener } from "./volume-calls.js";

/**
 * Watches a file of a tree, or a directory with its entries, or all below it, until the returned function is called or it is gone.
 *
 * @param root its path without links, "" for the root of the tree
 */
export function watchInTree(
  tree: MemoryTree,
  root: string,
  recursive: boolean,
  listener: Pick<WatchListener, "onChange" | "onEnd">,
): () => void {
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
    for (const below of namesBelow(tree, path)) onChange({ type: "created", path: `${at}${below}` });
  };
  const take = (event: TreeEvent): void => {
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
    if (gone === undefined || (root !== gone && !root.startsWith(`${gone}/`))) return;
    stop();
    if (event.type === "renamed" || root !== gone) onChange({ type: "removed", path: "" });
    listener.onEnd();
  });
  return stop;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Returns the paths of all that is below something. */
function namesBelow(tree: MemoryTree, path: string): string[] {
  const below: string[] = [];
  walking(tree, (walk) => {
    const pending = [{ node: walk.find(path, false), at: "" }];
    for (let next = pending.pop(); next; next = pending.pop()) {
      const { node, at } = next;
      if (node.kind !== "directory") continue;
      for (const { name } of node.list()) {
        below.push(`${at}/${name}`);
        pending.push({ node: walk.hold(node.find(name)), at: `${at}/${name}` });
      }
    }
  });
  return below;
}
