/** Volumes that are no directories of the host. */

/** A volume that is in the memory of this page or process, as `memoryVolume` of "boxrun/local" makes it. */
export interface MemorySource {
  /** Says that it is in memory. */
  readonly kind: "memory";
}

/**
 * A folder that the user of this page has picked, or one of the page's own files: a `FileSystemDirectoryHandle`, as `showDirectoryPicker()` and `navigator.storage.getDirectory()`
 * return it.
 */
export interface FolderSource {
  /** Says that it is a folder. */
  readonly kind: "directory";
  /** Name of the folder. */
  readonly name: string;
}

/** A volume that is no directory of the host, and its place in a box. */
export interface VolumeSource {
  /** The volume. */
  source: MemorySource | FolderSource;
  /** Absolute path that its root has in the box. */
  guestPath: string;
}

/** A volume that is no directory of the host, as a new box gets it. */
export interface SourceMount extends VolumeSource {
  /** Whether the box may only read it. @default false */
  readonly?: boolean;
}
