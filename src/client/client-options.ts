import type {
  Backend,
  BoxStatus,
  CreateProgress,
  HostVolume,
  NetworkOptions,
  Secrets,
  SourceMount,
} from "../backend/backend.js";
import type { CallOptions } from "../backend/call.js";
import type { ExecOptions } from "../exec/exec.js";
import type { FilesToWrite } from "../files/file-types.js";

/** Options of {@link BoxRunClient.create}. */
export interface CreateOptions {
  /** Name of the box: 1 to 63 letters, digits, "_", "." or "-", the first a letter or digit. `getBox` takes it in place of the id. @default none */
  name?: string;
  /** Number of processors. A local box has one, whatever this says. @default 2 */
  cpu?: number;
  /** Memory of the machine, in MiB. A local box takes 96 to 2048, of which its machine gets 2000 at most, and starts fastest with 256 or 1024. @default 1024 */
  memoryMb?: number;
  /** Size of the box's own disk, in GiB. A local box takes 1 to 64, and uses storage only for data that is written. @default 8 */
  diskSizeGb?: number;
  /**
   * Whether the box can reach the network, or the rules by which it does. Without one, only the box's own loopback works, and names fail to resolve at once. Where
   * the backend has no networks, `create` rejects with UNSUPPORTED; `capabilities.network` says why. A rule that makes no sense is VALIDATION_ERROR.
   * @default false
   */
  network?: boolean | NetworkOptions;
  /**
   * Secrets for servers on the network, by the names of environment variables. Commands get placeholders in these variables, and a request by HTTPS to one of a secret's
   * hosts gets the value in place of the placeholder in its headers. The value never enters the box, and is never stored: `start` and `getOrCreate` need it again. Where
   * the backend has none, `create` rejects with UNSUPPORTED.
   * @default none
   *
   * @example
   * const secrets = { API_KEY: { value: "sk-...", hosts: ["api.example.com"] } };
   * await using box = await client.create("debian", { network: true, secrets });
   * await box.exec('curl -H "Authorization: Bearer $API_KEY" https://api.example.com/v1/me');
   */
  secrets?: Secrets;
  /** Absolute path of the directory in which commands start that do not name one. Created if it does not exist. @default "/root" */
  workdir?: string;
  /** Environment variables of every command, on top of PATH, HOME, USER and LANG. @default none */
  env?: Record<string, string>;
  /**
   * Directories of the machine that runs the box, volumes in the memory of this page or process, and folders of this page, that are mounted in the box. Where the backend has none,
   * `create` rejects with UNSUPPORTED. Memory is not stored: `start` and `getOrCreate` need it again. A folder is kept with the box where the browser can.
   * @default none
   *
   * @example
   * import { memoryVolume } from "boxrun/local";
   *
   * const source = memoryVolume({ "/main.py": "print(42)" });
   * await using box = await client.create("python", { volumes: [{ source, guestPath: "/work" }] });
   */
  volumes?: (HostVolume | SourceMount)[];
  /**
   * Files to write before `create` resolves, by their absolute paths in the box: contents, or contents and permission bits. They are checked before a box is
   * created. When one cannot be written, the box is removed and `create` rejects with the error of {@link BoxFiles.writeAll}. @default none
   */
  files?: FilesToWrite;
  /** Aborts the creation, which then rejects at once with the signal's reason. No box is left behind. */
  signal?: AbortSignal;
  /** Called at each step of the creation. */
  onProgress?: (progress: CreateProgress) => void;
}

/** Options of {@link BoxRunClient.listBoxes}. */
export interface ListOptions extends CallOptions {
  /** Status of the boxes to list. "all" is no filter. @default "all" */
  status?: BoxStatus | "all";
}

/** Options of {@link BoxRunClient.run}: those of the box and those of the command. `env` and `workdir`, or `cwd`, are set on the box. */
export type RunOptions = CreateOptions & Omit<ExecOptions, "env" | "workdir">;

/** A place where the client looked for a server. */
export interface Tried {
  /** Address of the place: "unix:/home/me/.boxrun/boxrun.sock", "http://127.0.0.1:9090". */
  place: string;
  /** "connected", or the reason why not. */
  outcome: string;
  /** HTTP status of an answer that refused the client, such as 401 or 403. Absent when nothing answered. */
  status?: number;
}

/** The backend that a client chose, and why. */
export interface Connection {
  /** The backend itself. */
  backend: Backend;
  /** Kind of backend: "custom" is one that was passed as the option `backend`. */
  kind: "local" | "remote" | "custom";
  /** Reason for the choice, in one sentence. */
  reason: string;
  /** Places where the client looked for a server, in this order. */
  tried: Tried[];
}
