import { execFile } from "node:child_process";
import { readFile, readlink, rm, statfs } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** The holder of a lock, with enough data to find out whether that process still runs. The contents of a file are untrusted, and may lack anything. */
export interface Owner {
  pid: number;
  /** Program that the process runs, for people. Its other arguments may hold secrets, and are left out. */
  command?: string;
  /** Start time of the process, as its system reports it: a later process may have the same number. */
  started: string;
  /** Scope in which `pid` means that process: machine, boot, and in containers a namespace. */
  where: string;
  /** Name of the host, for people. */
  host: string;
  since: string;
  /** Whether the lock is on a file system that only one kernel uses at a time. */
  local: boolean;
  /** Socket in the lock's folder on which the owner listens while its thread runs. */
  socket?: string;
  /** Whether the lock is held for a moment only. */
  brief?: boolean;
}

/** This process as the owner of a lock. */
export interface OwnClaim {
  owner: Owner;
  /** Ends the signs of life for others. `folder` is where the lock is by now. */
  end(folder: string): Promise<void>;
}

/** Prefix of the names of sockets of locks. */
export const SOCKET = ".live-";
/** Longest path of a socket: some systems have room for 104 bytes, including a final zero. */
const MAX_SOCKET_PATH_BYTES = 103;

/** Types of local file systems: ext, XFS, Btrfs, tmpfs, overlay, F2FS, ZFS, bcachefs. Some of the others are shared between machines. */
const LOCAL_FILE_SYSTEMS = [
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e,
];

/** Prepares the contents for a lock in `folder`. Listens on a socket from before the lock exists until `end`. */
export async function claim(folder: string, { brief } = { brief: false }): Promise<OwnClaim> {
  const local = await isLocal(folder);
  const name = `${SOCKET}${crypto.randomUUID().slice(0, 8)}`;
  // A socket is no use across machines: from another one it refuses, whether its owner lives or not.
  const close = local ? await listenAt(join(folder, name)) : undefined;
  const owner = {
    ...(await self()),
    since: new Date().toISOString(),
    local,
    ...(close && { socket: name }),
    ...(brief && { brief }),
  };
  return {
    owner,
    async end(now) {
      close?.();
      // Node removes it at its original path; the folder may have another name by now.
      if (close) await rm(join(now, name), { force: true });
    },
  };
}

/** Checks whether the owner of a lock in `folder` may still run. True when nothing can be found out. */
export async function mayLive(folder: string, owner: Partial<Owner>): Promise<boolean> {
  const theirs = placeOf(owner.where);
  const ours = placeOf((await self()).where);
  if (ours.boot === "" || theirs.boot !== ours.boot) {
    // A file system has one kernel at a time: an owner of another boot has ended, whatever its machine was called.
    if (ours.boot !== "" && theirs.boot !== "" && owner.local === true && (await isLocal(folder)))
      return false;
    if (theirs.machine !== ours.machine) return true;
    if (theirs.boot !== ours.boot) return false;
  }
  // A boot id identifies a machine, which may have been renamed. Process numbers of another container mean nothing here.
  if (theirs.namespace !== ours.namespace) return (await knock(folder, owner)) !== "refused";
  if (typeof owner.pid !== "number") return false;
  const started = await startOf(owner.pid);
  if (
    started === undefined ||
    (started !== UNKNOWN && owner.started !== UNKNOWN && started !== owner.started)
  )
    return false;
  // A process may outlive the thread that was the owner. Node removes the sockets of such a thread, unless their folder has another name by then.
  const heard = await knock(folder, owner);
  return heard !== "refused" && heard !== "missing";
}

/** Checks whether the end of the owner could be seen from here. */
export async function canSee(owner: Partial<Owner>): Promise<boolean> {
  const theirs = placeOf(owner.where);
  const ours = placeOf((await self()).where);
  return ours.boot !== "" && theirs.boot === ours.boot && theirs.namespace === ours.namespace;
}

let ownIdentity: Promise<Pick<Owner, "pid" | "command" | "started" | "where" | "host">> | undefined;

function self() {
  ownIdentity ??= identify();
  return ownIdentity;
}

async function identify() {
  const [started, boot, namespace, machine] = await Promise.all([
    startOf(process.pid),
    bootId(),
    readlink("/proc/self/ns/pid").catch(() => ""),
    machineName(),
  ]);
  const where = `${machine}/${boot}/${namespace}`;
  const command = [basename(process.execPath), process.argv[1]].filter(Boolean).join(" ");
  return { pid: process.pid, command, started: started ?? UNKNOWN, where, host: hostname() };
}

function placeOf(where: unknown) {
  const [machine, boot = "", namespace = ""] = typeof where === "string" ? where.split("/") : [];
  return { machine, boot, namespace };
}

async function bootId(): Promise<string> {
  if (process.platform === "darwin") return outputOf("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid");
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();
}

/** Returns a name of the machine that survives a reboot: macOS takes its host name from the network. */
async function machineName(): Promise<string> {
  if (process.platform !== "darwin") return hostname();
  const text = await outputOf("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice");
  return /"IOPlatformUUID" = "([^"/]+)"/.exec(text)?.[1] ?? hostname();
}

/** Start time of a process that exists, or may exist, but cannot be looked at: where too many files are open, say. */
const UNKNOWN = "";

/** Returns the start time of a process, or {@link UNKNOWN}; undefined when there is no such process. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === "linux") {
    let stat: string;
    try {
      stat = await readFile(`/proc/${pid}/stat`, "utf8");
    } catch (error) {
      return isOneOf(error, ["ENOENT", "ESRCH"]) ? undefined : UNKNOWN;
    }
    // The second field is a name in parentheses that may itself contain spaces and parentheses; the start is field 22.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A dead process that its parent has not waited for is still listed.
    return fields[0] === "Z" ? undefined : (fields[19] ?? UNKNOWN);
  }
  try {
    if (process.platform !== "win32")
      return (await execute("ps", ["-o", "lstart=", "-p", String(pid)])).stdout.trim() || undefined;
    process.kill(pid, 0);
    return UNKNOWN;
  } catch (error) {
    // ps exits with 1 when there is no such process.
    return isOneOf(error, ["ESRCH", 1]) ? undefined : UNKNOWN;
  }
}

function isOneOf(error: unknown, codes: readonly (string | number)[]): boolean {
  return codes.includes((error as { code: string | number }).code);
}

/** Returns the output of a command; empty if it fails. */
async function outputOf(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(command, args).catch(() => ({ stdout: "" }));
  return stdout.trim();
}

async function isLocal(folder: string): Promise<boolean> {
  if (process.platform !== "linux") return false;
  const type = await statfs(folder).then(
    (stats) => Number(stats.type),
    () => 0,
  );
  return LOCAL_FILE_SYSTEMS.includes(type >>> 0);
}

/**
 * Listens on a socket until the thread ends, or the function that it resolves to is called, without keeping the process alive. Undefined when that is
 * impossible.
 */
function listenAt(path: string): Promise<(() => void) | undefined> {
  // Some versions of Node silently truncate longer paths.
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.on("error", () => resolve(undefined));
    try {
      server.listen({ path }, () => resolve(() => void server.close()));
      server.unref();
    } catch {
      // Deno without --allow-net.
      resolve(undefined);
    }
  });
}

/**
 * Tries an owner's socket. "refused": it exists and nobody listens, since listening ends with the thread or process, however those end. "unknown":
 * there cannot be a socket, or it cannot be tried.
 */
function knock(
  folder: string,
  { local, socket }: Partial<Owner>,
): Promise<"answered" | "refused" | "missing" | "unknown"> {
  if (local !== true || typeof socket !== "string" || !/^\.live-[0-9a-f]{8}$/.test(socket)) {
    return Promise.resolve("unknown");
  }
  const path = join(folder, socket);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) return Promise.resolve("unknown");
  return new Promise((resolve) => {
    let probe: Socket;
    try {
      probe = connect({ path });
    } catch {
      // As for listening.
      return resolve("unknown");
    }
    probe.once("connect", () => {
      probe.destroy();
      resolve("answered");
    });
    probe.once("error", ({ code }: NodeJS.ErrnoException) =>
      resolve(code === "ECONNREFUSED" ? "refused" : code === "ENOENT" ? "missing" : "unknown"),
    );
  });
}
