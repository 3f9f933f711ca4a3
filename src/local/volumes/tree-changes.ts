/** Facts about every change: when it was made, in milliseconds since 1970. Times of the files and directories that it touches are set to it. */
interface Dated {
  atMs: number;
}

/** Name of an entry, in a directory that is given by its inode number. */
interface Named {
  parent: number;
  name: string;
}

/** A file, directory or link that is new, with its first name. */
export interface NodeMade extends Dated, Named {
  type: "made";
  inode: number;
  kind: "file" | "directory" | "link";
  mode: number;
  /** Target of a link. */
  target?: string;
}

/** One more name of a file or link. */
export interface NodeLinked extends Dated, Named {
  type: "linked";
  inode: number;
}

/** A name that is gone. With its last name a file is gone, except for those who have it open. */
export interface NodeRemoved extends Dated, Named {
  type: "removed";
  inode: number;
}

/** Another name or directory for an entry. An entry that had the new name is gone. */
export interface NodeRenamed extends Dated, Named {
  type: "renamed";
  inode: number;
  newParent: number;
  newName: string;
}

/** Contents of a file from a position on. The file grows to hold them. */
export interface FileWritten extends Dated {
  type: "written";
  inode: number;
  at: number;
  bytes: Uint8Array;
}

/** Size of a file, which has been cut or has got a hole at its end. */
export interface FileResized extends Dated {
  type: "resized";
  inode: number;
  size: number;
}

/** Permission bits or time of a file. Absent ones stay. */
export interface NodeChanged extends Dated {
  type: "changed";
  inode: number;
  mode?: number;
  mtimeMs?: number;
}

/** Contents of a file that are in a store below the tree, and not here. Its size and time are known. */
export interface FileAway extends Dated {
  type: "away";
  inode: number;
  size: number;
  mtimeMs: number;
  /** Whether they are the same as before: they only make room. */
  isSame: boolean;
}

/** A piece of contents that were away, in the order of the file. Nothing else about the file changes. */
export interface FileLoaded {
  type: "loaded";
  inode: number;
  at: number;
  bytes: Uint8Array;
  /** Whether the contents are complete now. */
  isLast: boolean;
}

/**
 * A change of a {@link MemoryTree}, as plain data that can be posted to another thread. A tree that applies all changes of another one, in their order, is equal to it after each of
 * them. Files are known by their inode numbers, names and targets have a character for each byte, and files that have no name any more are left out.
 */
export type TreeChange =
  | NodeMade
  | NodeLinked
  | NodeRemoved
  | NodeRenamed
  | FileWritten
  | FileResized
  | FileAway
  | FileLoaded
  | NodeChanged;

/** A whole {@link MemoryTree}, as plain data. */
export interface TreeDump {
  /** Changes that make the tree out of an empty one. */
  changes: TreeChange[];
  /** Inode number of the next file. */
  nextInode: number;
}
