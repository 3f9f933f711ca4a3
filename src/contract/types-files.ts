/** The nouns of a box's files: see types.ts. */

/** Metadata of a file, directory or link. */
export interface FileStat {
  /** Kind of file. "other" is a FIFO, a socket or a device. */
  type: "file" | "directory" | "symlink" | "other";
  /** Size in bytes. */
  size: number;
  /** Permission bits, as in 0o644. */
  mode: number;
  /** Time of the last change: to the millisecond, or to the second where a command in the box finds it out. */
  modifiedAt: Date;
  /** Number of the user that owns it. */
  uid: number;
  /** Number of the group that owns it. */
  gid: number;
}

/** A file as an entry of its directory. */
export interface FileEntry extends FileStat {
  /** Name in its directory, as bytes. Empty in the answer to "stat", where the path of the request names the file. */
  name: Uint8Array;
}

/** An operation on a box's files that needs no command in the box and takes only a moment. Paths are absolute, as bytes without a zero byte. */
export type FileOperation =
  | {
      op: "stat";
      /** Path of the file. */
      path: Uint8Array;
      /** False: describe a link itself, not the file it leads to. */
      followLinks: boolean;
    }
  /** Lists a directory in no particular order, without "." and "..". */
  | {
      op: "list";
      /** Path of the directory. */
      path: Uint8Array;
    }
  | {
      op: "mkdir";
      /** Path of the new directory. */
      path: Uint8Array;
      /** Permission bits. */
      mode: number;
      /** True: create the directories above it, too, and accept one that exists. */
      recursive: boolean;
    }
  /** Renames as rename(2) does: EXDEV when the file would have to be copied. */
  | {
      op: "rename";
      /** Path of the file or directory. */
      path: Uint8Array;
      /** Its new path. */
      to: Uint8Array;
    }
  /** Removes a file or link: EISDIR for a directory. */
  | {
      op: "remove";
      /** Path of the file or link. */
      path: Uint8Array;
    };

/** A change of files that somebody watches, with paths of type `P`. */
export type ChangeAt<P> =
  | {
      /**
       * Kind of the change; "changed" is of contents, mode or time. After "overflow", whose path is that of the watch, changes are missing: look at everything
       * again.
       */
      type: "created" | "changed" | "removed" | "overflow";
      /** Absolute path of what has changed. */
      path: P;
    }
  | {
      type: "renamed";
      /** Absolute path that it has now. What had it before is gone, and what is in a directory moves with it. */
      path: P;
      /** Absolute path that it had before. */
      from: P;
    };

/** A change of a box's files that somebody watches. Paths are those in the box, as bytes. */
export type FileChange = ChangeAt<Uint8Array>;
