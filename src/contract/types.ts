/** The nouns of the BoxRun API as this SDK has them: the wire's names for them are in wire.ts. */

/** Where a box is in its life. A newer server may send others; they are passed on as they come. */
export type BoxStatus = "creating" | "running" | "stopped" | "error" | (string & {});

/** A directory of the host made visible in the box. */
export interface VolumeSpec {
  hostPath: string;
  guestPath: string;
  /** Default false. */
  readonly?: boolean;
}

/** What a local box really is, beside what was asked for. */
export interface LocalBoxInfo {
  /** What runs, in words: "BusyBox 1.35 (musl), i386". */
  image: string;
  /** Processors of the emulated machine: always 1. */
  cpus: number;
  /** False when the box's disk ends with the process or page. */
  persistent: boolean;
  /** Way the machine came up: from a snapshot, by booting the kernel, or started ahead (`local.warm`). Null while it does not run, and while it runs elsewhere. */
  boot: "snapshot" | "cold" | "warm" | (string & {}) | null;
  /** Why it was not a snapshot, or anything else the owner should know. Empty when all is as it should be, and while no machine runs. */
  warnings: string[];
}

/** What a box is made of. All defaults are filled in by the client. */
export interface BoxSpec {
  /** The image as it was asked for. */
  image: string;
  name: string | null;
  /** Processors as asked for. */
  cpu: number;
  /** Memory of the machine, in MiB. */
  memoryMb: number;
  /** Size of the box's own disk, in GiB. */
  diskSizeGb: number;
  network: boolean;
  /** Where commands start that name no `workdir`. */
  workdir: string;
  env: Record<string, string> | null;
  volumes: VolumeSpec[] | null;
}

/** A box as it stood when it was asked for. */
export interface BoxInfo extends BoxSpec {
  /** "box_" and 12 characters. */
  id: string;
  status: BoxStatus;
  /** Set in status "error": the code of what ended the machine. */
  errorCode: string | null;
  errorMessage: string | null;
  createdAt: Date;
  startedAt: Date | null;
  stoppedAt: Date | null;
  /** Present on boxes of the local backend. */
  local?: LocalBoxInfo;
}

/** Where an execution is in its life. Any other value is final, and kept as it came. */
export type ExecStatus = "running" | "succeeded" | "failed" | "canceled" | "timeout" | (string & {});

/** An execution as it stood when it was asked for. */
export interface ExecInfo {
  /** "exec_" and 12 characters. */
  id: string;
  boxId: string;
  status: ExecStatus;
  cmd: string[];
  env: Record<string, string> | null;
  workdir: string | null;
  timeoutMs: number | null;
  /** Null while it runs, and for ever when it was canceled or timed out. 128 + signal for a signal. */
  exitCode: number | null;
  errorMessage: string | null;
  createdAt: Date;
  finishedAt: Date | null;
  /** True when output was dropped because nobody read it (see the execution log's limit). */
  truncated?: boolean;
}

/** A command to run. */
export interface ExecSpec {
  /** argv: no shell is involved. */
  cmd: string[];
  env: Record<string, string> | null;
  /** Absolute; null for the box's own. */
  workdir: string | null;
  /** Null: no limit. */
  timeoutMs: number | null;
  /** True: stdin is a pipe, fed by `writeStdin`. False: it is empty. */
  stdin: boolean;
  /** "stdout": stderr goes where stdout goes, and everything comes as stdout in the order it was printed. Absent: the two are apart. Asked only with the capability "stderr". */
  stderr?: "stdout";
}

/** What a file is. */
export interface FileStat {
  type: "file" | "directory" | "symlink" | "other";
  /** In bytes. */
  size: number;
  /** Permission bits. */
  mode: number;
  /** To the millisecond; to the second where commands in the box find it out. */
  modifiedAt: Date;
  uid: number;
  gid: number;
}

/** A file by the name it has in its directory; empty where the path that was asked for names it. */
export interface FileEntry extends FileStat {
  name: Uint8Array;
}

/** What a backend may do with a box's files without a command in the box: all that takes no longer than a moment. Paths are absolute, without a zero byte. */
export type FileOperation =
  /** Without `followLinks` it tells of the link itself. */
  | { op: "stat"; path: Uint8Array; followLinks: boolean }
  /** In no order; "." and ".." are not among the entries. */
  | { op: "list"; path: Uint8Array }
  /** With `recursive` also the directories above it, and it may be there already. */
  | { op: "mkdir"; path: Uint8Array; mode: number; recursive: boolean }
  /** As rename(2): EXDEV for what can only be copied. */
  | { op: "rename"; path: Uint8Array; to: Uint8Array }
  /** A file or link: EISDIR for a directory. */
  | { op: "remove"; path: Uint8Array };

/** What a terminal is to be. */
export interface TerminalSpec {
  /** Null: the image's own. */
  shell: string | null;
  cols: number;
  rows: number;
  /** For the variable TERM. */
  term: string;
}

/** Which of a command's outputs. */
export type OutputStream = "stdout" | "stderr";

/** One entry of an execution's log. `seq` grows; it has gaps only where output was dropped. */
export type BackendEvent =
  | { type: "log"; stream: OutputStream; bytes: Uint8Array; seq: number }
  | { type: "exit"; exitCode: number | null; seq: number };

/** A step of the creation of a box. */
export interface CreateProgress {
  /** "download": assets are on their way; "boot": the machine starts; "setup": the guest makes the box; "ready": done. */
  phase: "download" | "boot" | "setup" | "ready";
  /** Under "download": what has come so far of what this box needs before it runs, in compressed bytes. What is cached counts as come. */
  loadedBytes?: number;
  totalBytes?: number;
}

/** Bytes that moved so far, and in all when known. */
export interface TransferProgress {
  loadedBytes: number;
  totalBytes: number | null;
}

/** What a box takes of the machine that keeps it. */
export interface BoxUsage {
  /** Bytes that its disk takes there now. It grows with what is written, and shrinks when the box is removed. */
  diskBytes: number;
  /** The most it can take: the size of its disk. */
  diskLimitBytes: number;
  /** True when the disk outlives the page or process. */
  persistent: boolean;
}

/** An image that boxes can be made of. */
export interface ImageInfo {
  name: string;
  aliases: string[];
  /** What it really is, in words. */
  description: string;
  /** Compressed bytes to fetch before a first box can run; what its commands read comes on top, when they read it. */
  downloadBytes: number;
  /** Compressed bytes of all of it: what `pull` fetches. */
  totalBytes: number;
}
