/** Releases a lock. Idempotent. */
export type Release = () => Promise<void>;

/** The holder of a lock, for people. */
export interface LockOwner {
  /** Description: "process 4711 (node server.js) on ada". */
  who: string;
  since: Date | null;
  /** Advice for the case that the holder is certainly gone while its lock remains. */
  hint?: string;
  /** True if the lock may be held only for a moment: to look at the box, to remove it, or by a page that was just left. */
  brief?: boolean;
}

/** A folder of a page that is a volume of a box. */
export interface KeptFolder {
  /** Its path in the box. */
  guestPath: string;
  /** A `FileSystemDirectoryHandle`. */
  source: object;
}

/**
 * The place where the boxes of a backend are kept: for each one a record, the history of its commands, a lock, and its disk. Each host has its own
 * implementation. Records and history entries are plain data whose form the caller knows; bytes in them are Uint8Arrays. Stored data is untrusted when it is
 * read, since another version may have written it.
 */
export interface BoxStore {
  /** True when boxes outlive the page or process. False: they do not, as the caller asked. A string: they do not, for this reason. */
  readonly persistent: boolean | string;
  /** Lists the ids of the boxes in the store. */
  list(): Promise<string[]>;
  /** Creates a box with its first record. It is locked from the start. */
  create(id: string, record: object): Promise<Release>;
  /**
   * Locks a box before its disk is opened, until it is released or the page or process ends. Null: another holds the lock. A box that does not exist can be
   * locked, too; only its record shows whether it does. `brief` is reported to others by {@link lockOwner}.
   */
  lock(id: string, options?: { brief: boolean }): Promise<Release | null>;
  /** Checks whether anybody holds the lock, here or elsewhere. */
  isLocked(id: string): Promise<boolean>;
  /** Finds the holder of the lock, where a store can tell. */
  lockOwner?(id: string): Promise<LockOwner | undefined>;
  /**
   * Calls `onChange` when another page or process may have created, changed, released or removed a box. It is only a hint, which anybody can have caused; the
   * death of an owner shows only in its lock. Resolves to a function that ends it. Absent: nobody else has these boxes.
   */
  watch?(onChange: () => void): Promise<() => void>;
  /**
   * Runs `work` while no other page or process of this machine runs another. For names, which are unique among all boxes.
   *
   * @throws {BoxRunError} BOX_LOCKED when another one does not end
   */
  exclusively<T>(work: () => Promise<T>): Promise<T>;

  /** Reads the record of a box. Undefined: there is no such box. */
  readRecord(id: string): Promise<unknown>;
  writeRecord(id: string, record: object): Promise<void>;
  /** Reads all entries of the history, oldest first. */
  readHistory(id: string): Promise<unknown[]>;
  appendHistory(id: string, entries: readonly object[]): Promise<void>;
  /** Replaces the history by these entries. The caller holds the lock. */
  replaceHistory(id: string, entries: readonly object[]): Promise<void>;

  /** Keeps the folders of a page that are volumes of a box, if the browser can. Absent where there are none. */
  keepFolders?(id: string, folders: readonly KeptFolder[]): Promise<void>;
  /** Reads what {@link BoxStore.keepFolders} has kept, if anything. */
  readFolders?(id: string): Promise<unknown>;

  /** Returns the location by which the machine's Worker opens the disk; null for one in memory. */
  diskLocation(id: string): string | null;
  /** Returns the number of bytes that the disk takes here. */
  diskUsage(id: string): Promise<number>;
  /** Returns the contents of a disk in memory, which are kept between two machines. */
  keptDisk(id: string): Uint8Array | undefined;
  keepDisk(id: string, contents: Uint8Array): void;

  /** Removes a box with everything that belongs to it. The caller holds the lock, which ends with it. Idempotent. */
  remove(id: string): Promise<void>;
}
