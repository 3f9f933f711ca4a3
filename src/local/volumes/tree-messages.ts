import type { ErrnoName } from "./errno.js";
import type { TreeChange, TreeDump } from "./tree-changes.js";
import type { TreeLimits } from "./tree-state.js";

/** A change that a replica asks the original of a tree for. Files and directories are given by their inode numbers, as in {@link TreeChange}. */
export type TreeRequest =
  | { op: "create"; parent: number; name: string; exclusive: boolean; truncate: boolean; mode: number }
  | { op: "mkdir"; parent: number; name: string; mode: number }
  | { op: "symlink"; parent: number; name: string; target: string }
  | { op: "link"; inode: number; parent: number; name: string }
  | { op: "rename"; parent: number; name: string; newParent: number; newName: string }
  | { op: "remove"; parent: number; name: string; kind: "directory" | "file" }
  | { op: "change"; inode: number; mode?: number; size?: number; mtimeMs?: number }
  /** Empties a file that is being opened. */
  | { op: "truncate"; inode: number }
  /** Loads contents that are in the store below the tree. */
  | { op: "load"; inode: number }
  /** Waits until a file or a directory is in that store. */
  | { op: "sync"; inode: number }
  /** Says that a file that was written to has been closed. */
  | { op: "closed"; inode: number }
  /** Writes to a file; with `append` at its end, wherever `at` is. */
  | { op: "write"; inode: number; at: number; bytes: Uint8Array; append: boolean };

/** Messages from the original of a tree to a replica. */
export type ToReplica =
  /** The whole tree, first of all. `isStored`: there is a store below it. */
  | { type: "tree"; dump: TreeDump; limits: Omit<TreeLimits, "now">; isStored: boolean }
  /** A change. `isOwn`: the replica has asked for it. */
  | { type: "change"; change: TreeChange; isOwn: boolean }
  /** Answers a request, after all changes that it has made: the inode number of what is new, or the number of bytes written, or 0; or why it was refused. */
  | { type: "answer"; id: number; result: number }
  | { type: "answer"; id: number; errno: ErrnoName }
  /** Says that nothing more comes: the replica was too slow. */
  | { type: "lost" };

/** Messages from a replica of a tree to the original. */
export type ToOriginal =
  | { type: "ask"; id: number; request: TreeRequest }
  /** Says that the replica needs something no more that has lost its last name. */
  | { type: "release"; inode: number }
  /** Reports that so many bytes of changes were applied, as {@link changeCost} counts them. */
  | { type: "took"; bytes: number };

/** About what a change takes beside the bytes of a file. */
const CHANGE_BYTES = 256;

/** Returns the number of bytes that a change counts for on its way. */
export function changeCost(change: TreeChange): number {
  return CHANGE_BYTES + ("bytes" in change ? change.bytes.byteLength : 0);
}
