/** Volumes that are no directories of the host. */

/** A volume that is in the memory of this page or process, as `memoryVolume` of "boxrun/local" makes it. */
export interface MemorySource {
  /** Says that it is in memory. */
  readonly kind: "memory";
}

/** A volume that is no directory of the host, and its place in a box. */
export interface VolumeSource {
  /** The volume. */
  source: MemorySource;
  /** Absolute path that its root has in the box. */
  guestPath: string;
}

/** A volume that is no directory of the host, as a new box gets it. */
export interface SourceMount extends VolumeSource {
  /** Whether the box may only read it. @default false */
  readonly?: boolean;
}
