/** Calls of `box.files` on paths in volumes, as the owner of a machine sends them to its Worker. Paths are absolute in the mount: "/0/dir/file", a character for each byte. */

/** One call. Handles are those of `open` and `create`. */
export type VolumeCall =
  | { call: "stat"; path: string; follow: boolean }
  | { call: "list"; path: string }
  | { call: "mkdir"; path: string; mode: number; recursive: boolean }
  | { call: "rename"; path: string; to: string }
  | { call: "remove"; path: string }
  /** Opens a file to read. Answered by an {@link OpenedFile}. */
  | { call: "open"; path: string }
  | { call: "read"; handle: number; at: number; bytes: number }
  /** Begins a file, with the directories of its path. It is there whole after `commit`. Without `mode`, a file that exists keeps its own. Answered by an {@link OpenedFile}. */
  | { call: "create"; path: string; mode?: number; newMode: number }
  | { call: "write"; handle: number; at: number; bytes: Uint8Array }
  | { call: "commit"; handle: number }
  | { call: "close"; handle: number };

/** A file that a call has opened. */
export interface OpenedFile {
  handle: number;
  size: number;
  mode: number;
  /** Whether the old file is written over, because nothing can be put in its place. */
  inPlace: boolean;
}

/** An entry, as `box.files` describes it. */
export interface VolumeEntry {
  name: string;
  type: "file" | "directory" | "symlink" | "other";
  size: number;
  mode: number;
  mtimeMs: number;
  uid: number;
  gid: number;
}

/** The result of a call. */
export type VolumeAnswer =
  | { entries: VolumeEntry[] }
  | { opened: OpenedFile }
  | { bytes: Uint8Array }
  /** Linux's number of the error. */
  | { errno: number }
  /**
   * The path, or the second one of a rename, leads out of its volume, to where only the guest knows what there is: to an absolute path in the box, or to one below the place of a volume
   * that begins with "..".
   */
  | { out: string; volume: number | undefined; isSecond: boolean };
