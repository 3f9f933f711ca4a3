/** The nouns of the BoxRun API, in this SDK's names. wire.ts has their names on the wire. */

export type * from "./types-files.js";

/** Status of a box. A server of a later version may send another one, which is passed on as it is. */
export type BoxStatus = "creating" | "running" | "stopped" | "error";

/** Name of a signal of Linux on x86, which every box runs, whatever its host is. */
export type Signal =
  | "SIGHUP"
  | "SIGINT"
  | "SIGQUIT"
  | "SIGILL"
  | "SIGTRAP"
  | "SIGABRT"
  | "SIGBUS"
  | "SIGFPE"
  | "SIGKILL"
  | "SIGUSR1"
  | "SIGSEGV"
  | "SIGUSR2"
  | "SIGPIPE"
  | "SIGALRM"
  | "SIGTERM"
  | "SIGCHLD"
  | "SIGCONT"
  | "SIGSTOP"
  | "SIGTSTP"
  | "SIGTTIN"
  | "SIGTTOU"
  | "SIGURG"
  | "SIGXCPU"
  | "SIGXFSZ"
  | "SIGVTALRM"
  | "SIGPROF"
  | "SIGWINCH"
  | "SIGIO"
  | "SIGPWR"
  | "SIGSYS";

/** A volume of a box, which is mounted at each start. */
export type VolumeSpec = HostVolume | MemoryVolumeSpec | FolderVolumeSpec;

/** A directory of the host that is mounted in a box. */
export interface HostVolume {
  /** Path of the directory on the host. */
  hostPath: string;
  /** Absolute path that the directory has in the box. */
  guestPath: string;
  /** Whether the box may only read it. @default false */
  readonly?: boolean;
}

/** A volume in memory that is mounted in a box. Its files are not stored: each start of the box needs it again. */
export interface MemoryVolumeSpec {
  /** Says that it is in memory. */
  source: "memory";
  /** Absolute path that its root has in the box. */
  guestPath: string;
  /** Whether the box may only read it. @default false */
  readonly?: boolean;
}

/** A folder of a page that is mounted in a box: one that its user has picked, or one of the page's own files. Each start of the box needs it again. */
export interface FolderVolumeSpec {
  /** Says that it is a folder. */
  source: "folder";
  /** Absolute path that the folder has in the box. */
  guestPath: string;
  /** Whether the box may only read it. @default false */
  readonly?: boolean;
}

/**
 * Rules for what a box with a network may connect to. `{}` is the same as `true`: every public address, except for port 25.
 *
 * A rule is a name, an address or a CIDR, each with optional ports: "pypi.org", "*.pythonhosted.org:443", "203.0.113.0/24:8000-8100", "[2001:db8::/32]:443".
 * "*.example.com" stands for all names below example.com, and "*" for every name and public address. A name whose address is not public is refused, unless
 * that address is allowed by a rule of its own. "host.internal:5432" stands for a port of the host's own loopback, which is reached by that name alone.
 *
 * @example
 * const network = { allow: ["pypi.org", "*.pythonhosted.org:443"] };
 * await using box = await client.create("python", { network });
 */
export interface NetworkOptions {
  /** Rules for what the box may connect to, all else denied. An empty list denies everything. @default every public address */
  allow?: string[];
  /** Rules for what the box may not connect to, whatever `allow` says. @default none */
  deny?: string[];
  /**
   * Name of a LAN. Boxes of one client with the same one connect to each other by their names, "db" or "db.internal", whatever the rules say. A server in one may listen on its
   * loopback alone. @default none
   */
  lan?: string;
}

/** A secret of a box: programs in the box have a placeholder, and requests to its hosts get the value in their headers. */
export interface SecretOptions {
  /** The value: 1 to 8192 visible ASCII characters or spaces. */
  value: string;
  /** Names of the servers that may get it: "api.example.com", or "*.example.com" for all names below one. They open nothing: the rules of `network` decide what the box may connect to. */
  hosts: string[];
}

/** Secrets of a box, by the names of the environment variables that hold their placeholders. */
export type Secrets = Record<string, SecretOptions>;

/**
 * Cause of a connection's failure: "not found", the name does not exist; "dialer failed", `local.dialer` rejected without a `code`, or did not make a connection; "relay", `local.relay` refused it or
 * failed, as the message says; "refused", in a page: TLS with the program failed, or its last request was answered with a refusal, whose text is the message.
 */
export type NetworkFailure = "not found" | "dialer failed" | "relay" | "refused";

/** A connection that a program in a box made, or tried to make. */
export interface NetworkLogEntry {
  /** Time at which the program asked for it. */
  at: Date;
  /** Name that the program looked up, or the address that it connected to. */
  host: string;
  /** TCP port; 0 for a name that was only looked up. */
  port: number;
  /** Address that was dialed. Absent when none was, or it is not known. */
  address?: string;
  /** Verdict of the rules. */
  verdict: "allowed" | "denied";
  /** Reason why it was denied: 'deny[0] *.example.com', "not in allow", "address is not public", "port 25", "too many connections". Of one that was open when the rules changed: why it was reset. Else absent. */
  rule?: string;
  /** Name of the errno with which it failed: "ECONNREFUSED"; "ENOTFOUND" for a name that does not exist, "EAI_AGAIN" for one that could not be looked up. Absent while it has not failed. */
  error?: string;
  /** Cause of a failure that its errno does not tell. Absent for others. A connection that has "refused" may have no `error`, and be open. */
  reason?: NetworkFailure;
  /** Message of the error of a dialer or a relay that has failed, or of a refusal, at most 400 characters. Absent for others. */
  message?: string;
  /** Number of bytes that the program has sent. */
  sentBytes: number;
  /** Number of bytes that it was sent. */
  receivedBytes: number;
  /** Time at which it ended or failed. Absent while it is open. */
  endedAt?: Date;
}

/** Facts about a box of the local backend, beside the ones that were asked for. */
export interface LocalBoxInfo {
  /** Description of the image that runs: "BusyBox 1.35 (musl), i386". */
  image: string;
  /** Processors of the emulated machine: always 1. */
  cpus: number;
  /** Memory of the emulated machine, in MiB: at most 2000, where up to 2048 may be asked for. Absent when a server of an older version runs the box. */
  memoryMb?: number;
  /** False when the box's disk ends with the process or page. */
  persistent: boolean;
  /**
   * Way the machine came up: "snapshot", from a boot image; "cold", by booting the kernel; "warm", started ahead (`local.warm`). Null while it does not run,
   * and while it runs elsewhere.
   */
  boot: "snapshot" | "cold" | "warm" | null;
  /** Names of the box's secrets, which each start needs again. Absent when it has none. */
  secrets?: string[];
  /** Hosts of each secret, by its name, while the box runs. Absent when it has no secrets, and while it runs in another process or page. */
  secretHosts?: Record<string, string[]>;
  /** Messages for the owner of the box, such as the reason why no boot image was used. Empty when nothing is wrong, and while no machine runs. */
  warnings: string[];
}

/** Description of a box to create. The client fills in all defaults. */
export interface BoxSpec {
  /** Image name as it was passed to `create`. */
  image: string;
  /** Name of the box, null for none. */
  name: string | null;
  /** Number of processors that was asked for. A local box has one, whatever this says. */
  cpu: number;
  /** Memory of the machine, in MiB. */
  memoryMb: number;
  /** Size of the box's own disk, in GiB. */
  diskSizeGb: number;
  /** Whether the box can reach the network, or the rules by which it does. */
  network: boolean | NetworkOptions;
  /** Absolute path of the directory in which commands start that do not name a `workdir`. */
  workdir: string;
  /** Environment variables of every command. Null is the same as none. */
  env: Record<string, string> | null;
  /** Directories of the host that are mounted in the box. Null is the same as none. */
  volumes: VolumeSpec[] | null;
}

/** State of a box at the time it was asked for. */
export interface BoxInfo extends BoxSpec {
  /** "box_" and 12 characters. */
  id: string;
  /** Status of the box: "creating", "running", "stopped" or "error". */
  status: BoxStatus;
  /** Code of the error that put the box into status "error"; else null. */
  errorCode: string | null;
  /** Message of that error; else null. */
  errorMessage: string | null;
  /** Time at which the box was created. */
  createdAt: Date;
  /** Time at which the box was last started; null if it never was. */
  startedAt: Date | null;
  /** Time at which the box last stopped; null if it has not stopped since it was last started. */
  stoppedAt: Date | null;
  /** Further facts about a box of the local backend; absent for others. */
  local?: LocalBoxInfo;
}

/**
 * Status of an execution. All but "running" are final: "error" is that of a command which was cut off when its box ended, and some servers say "completed" for
 * "succeeded". A server of a later version may send another one, which is passed on as it is.
 */
export type ExecStatus = "running" | "succeeded" | "failed" | "completed" | "canceled" | "timeout" | "error";

/** State of an execution at the time it was asked for. */
export interface ExecInfo {
  /** "exec_" and 12 characters. */
  id: string;
  /** Id of the box that the command runs in. */
  boxId: string;
  /** Status of the command: "running" until it has ended. */
  status: ExecStatus;
  /** The command as argv. A command given as a string is `["/bin/sh", "-c", string]`. */
  cmd: string[];
  /** Environment variables of this command alone, without those of the box; null for none. */
  env: Record<string, string> | null;
  /** Directory in which the command started. Null: the box's own. */
  workdir: string | null;
  /** Time limit of the command in milliseconds; null for none. */
  timeoutMs: number | null;
  /**
   * Exit code. Null while the command runs, and for good when it was canceled or timed out. As in a shell, 127 means that there is no such program and 126 that
   * it cannot be run (POSIX.1-2017, Shell Command Language, 2.8.2); as in bash, 128 + N means that signal N ended it.
   */
  exitCode: number | null;
  /** Explanation of how the command ended, where there is one (out of memory, time limit, a program for another processor); else null. */
  errorMessage: string | null;
  /** Time at which the command was started. */
  createdAt: Date;
  /** Time at which the command ended; null while it runs. */
  finishedAt: Date | null;
  /** True when output was dropped because nobody read it (see `logLimitBytes` of `LocalOptions`). Absent: no. */
  truncated?: boolean;
}

/** Description of a command to run. */
export interface ExecSpec {
  /** The command as argv, run without a shell. */
  cmd: string[];
  /** Environment variables, on top of the box's own. Null is the same as none. */
  env: Record<string, string> | null;
  /** Absolute path of the directory to start in; null for the box's own. */
  workdir: string | null;
  /** Time limit in milliseconds; null for none. */
  timeoutMs: number | null;
  /** True: stdin is a pipe, fed by `writeStdin`. False: it is empty. */
  stdin: boolean;
  /**
   * "stdout": stderr goes where stdout goes, and everything comes as stdout in the order it was printed. Absent: the two stay apart. Set only with the
   * capability "stderr".
   */
  stderr?: "stdout";
}

/** Description of a terminal to open. */
export interface TerminalSpec {
  /** Name or path of the shell. Null: the image's own, which in a local box is bash if the image has it, else sh. @default null */
  shell: string | null;
  /** Width in columns, 1 to 1000. @default 80 */
  cols: number;
  /** Height in rows, 1 to 1000. @default 24 */
  rows: number;
  /** Value of the variable TERM. @default "xterm-256color" */
  term: string;
}

/** Name of one of a command's two outputs. */
export type OutputStream = "stdout" | "stderr";

/** One entry of an execution's log: a piece of output, or the end. */
export type BackendEvent =
  | {
      type: "log";
      /** Output that the bytes came from. */
      stream: OutputStream;
      /** Bytes that the command wrote. */
      bytes: Uint8Array;
      /** Position in the log. Grows from event to event, with gaps only where output was dropped. */
      seq: number;
    }
  | {
      type: "exit";
      /** Exit code; null when the command was canceled or timed out. */
      exitCode: number | null;
      /** Position in the log, after all output. */
      seq: number;
    };

/** Progress of the creation or the start of a box. */
export interface CreateProgress {
  /** "download": assets are being fetched; "boot": the machine starts; "setup": the guest sets the box up; "ready": done. */
  phase: "download" | "boot" | "setup" | "ready";
  /** In phase "download": compressed bytes that have arrived of those that this box needs before it runs. Cached bytes count as arrived. */
  loadedBytes?: number;
  /** In phase "download": compressed bytes that this box needs before it runs. */
  totalBytes?: number;
}

/** Progress of a transfer. */
export interface TransferProgress {
  /** Bytes transferred so far. */
  loadedBytes: number;
  /** Bytes to transfer in all; null when unknown. */
  totalBytes: number | null;
}

/** Storage that a box uses on the machine that keeps it. */
export interface BoxUsage {
  /** Bytes that its disk takes there now. Grows as the box writes, and is freed when the box is removed. */
  diskBytes: number;
  /** Upper limit of `diskBytes`: the size of the box's disk. */
  diskLimitBytes: number;
  /** True when the disk outlives the page or process. */
  persistent: boolean;
}

/** An image that boxes can be created from. */
export interface ImageInfo {
  /** Name of the image: "debian". */
  name: string;
  /** Other names that `create` takes for it, including those of images that it stands in for ("ubuntu:24.04"). */
  aliases: string[];
  /** Those of `aliases` that name other images, which this one stands in for. Absent on servers that do not tell. */
  standsFor?: string[];
  /** Description of its contents. */
  description: string;
  /** Compressed bytes to fetch before a first box can run. Whatever its commands read later comes on top. */
  downloadBytes: number;
  /** Compressed bytes of the whole image, as `pull` fetches it. */
  totalBytes: number;
}

/** A port of a box on which a server listens. */
export interface PortInfo {
  /** Number of the port, 1 to 65535. */
  port: number;
  /** Addresses of the box on which it listens: "127.0.0.1", "0.0.0.0" or "::" for all, ... */
  addresses: string[];
}
