import type { VolumeError } from "./errno.js";

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
  | { call: "close"; handle: number }
  /** Begins a watch, whose number is the caller's. Answered once every later change will be told. */
  | { call: "watch"; watch: number; path: string; recursive: boolean }
  /** Asks for the changes of a watch. Answered by {@link VolumeChanges} once there are any, or after a while without. */
  | { call: "changes"; watch: number }
  | { call: "unwatch"; watch: number }
  /** Asks for paths of what others than the guest have changed. Answered once there are any, or after a while without. The first of these calls begins it. */
  | { call: "foreign" };

/** A file that a call has opened. */
export interface OpenedFile {
  handle: number;
  size: number;
  mode: number;
  /** Whether the old file is written over, because nothing can be put in its place. */
  inPlace: boolean;
}

/** Changes of a watch, in order. */
export interface VolumeChanges {
  changes: VolumeChange[];
  /** Whether no more come, since what was watched is gone. */
  isEnd: boolean;
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

/** A change of what is watched, or of what is below it. Paths go from there: "" for itself, "/file". After "overflow", changes are missing. */
export type VolumeChange =
  | { type: "created" | "changed" | "removed" | "overflow"; path: string }
  | { type: "renamed"; path: string; from: string };

/** Whoever takes the changes of a watch. */
export interface WatchListener {
  onChange(change: VolumeChange): void;
  /** Called once what is watched is gone, after its "removed". */
  onEnd(): void;
  onFailure(error: VolumeError): void;
}

/** The result of a call. */
export type VolumeAnswer =
  | { entries: VolumeEntry[] }
  | { opened: OpenedFile }
  | { bytes: Uint8Array }
  | VolumeChanges
  | { paths: string[] }
  /** Linux's number of the error. */
  | { errno: number }
  /**
   * The path, or the second one of a rename, leads out of its volume, to where only the guest knows what there is: to an absolute path in the box, or to one below the place of a volume
   * that begins with "..".
   */
  | { out: string; volume: number | undefined; isSecond: boolean };
