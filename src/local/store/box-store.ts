/** Releases a lock. Idempotent. */
export type Release = () => Promise<void>;

/** Who holds a lock, for people. */
export interface LockOwner {
  /** "process 4711 (node server.js) on ada". */
  who: string;
  since: Date | null;
  /** What to do when it is gone for certain and its lock is not. */
  hint?: string;
  /** True: perhaps for a moment only, to look at the box, to remove it, or as a page that was just left. */
  brief?: boolean;
}

/**
 * Where the boxes of a backend are kept: for each a record, the history of its commands, a lock, and its disk. One implementation a host. Records and history
 * entries are plain data whose form the caller knows; bytes in them are Uint8Arrays. What comes back is untrusted: another version may have written it.
 */
export interface BoxStore {
  /** False: what is here ends with the page or process, as was asked for. A string: it does, and this is why. */
  readonly persistent: boolean | string;
  /** Ids of the boxes that are here. */
  list(): Promise<string[]>;
  /** Makes a box with its first record. It is locked from the start. */
  create(id: string, record: object): Promise<Release>;
  /**
   * Held before the disk is opened, until released or until the page or process ends. Null: another has it. A box that is not there can be locked, too:
   * only its record says whether it is. `brief` is told to others by {@link lockOwner}.
   */
  lock(id: string, options?: { brief: boolean }): Promise<Release | null>;
  /** Whether anybody holds the lock, here or elsewhere. */
  isLocked(id: string): Promise<boolean>;
  /** Who holds the lock, where a store can tell. */
  lockOwner?(id: string): Promise<LockOwner | undefined>;
  /**
   * Calls `onChange` when another page or process may have made, changed, released or removed a box. Only a hint, which anybody may have given; that an owner has died is told by its lock alone. Resolves to what ends it.
   * Absent: nobody else has these boxes.
   */
  watch?(onChange: () => void): Promise<() => void>;
  /** Runs `work` while no other page or process of this machine runs any other. For names, which are one for all boxes. BOX_LOCKED when another does not come to an end. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;

  /** Undefined: there is no such box. */
  readRecord(id: string): Promise<unknown>;
  writeRecord(id: string, record: object): Promise<void>;
  /** All entries, oldest first. */
  readHistory(id: string): Promise<unknown[]>;
  appendHistory(id: string, entries: readonly object[]): Promise<void>;
  /** Keeps only these. The caller holds the lock. */
  replaceHistory(id: string, entries: readonly object[]): Promise<void>;

  /** What the machine's Worker opens the disk by; null for one in memory. */
  diskLocation(id: string): string | null;
  /** Bytes that the disk takes here. */
  diskUsage(id: string): Promise<number>;
  /** The contents of a disk in memory, between two machines. */
  keptDisk(id: string): Uint8Array | undefined;
  keepDisk(id: string, contents: Uint8Array): void;

  /** Removes a box with all that is its. The caller holds the lock, which ends with it. Idempotent. */
  remove(id: string): Promise<void>;
}
