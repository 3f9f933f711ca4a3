import { execFile } from "node:child_process";
import { readFile, readlink, rm, statfs } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Who holds a lock: enough to tell whether that process still runs. What is in a file is untrusted, and may lack anything. */
export interface Owner {
  pid: number;
  /** What the process runs, for people: its other arguments may hold secrets. */
  command?: string;
  /** When the process started, as its system says it: a later process may have the same number. */
  started: string;
  /** Where `pid` means that process: machine, boot, and in containers a namespace. */
  where: string;
  /** The host's name, for people. */
  host: string;
  since: string;
  /** Whether the lock lies on a file system that one kernel alone has at a time. */
  local: boolean;
  /** A socket in the lock's folder on which the owner listens while its thread runs. */
  socket?: string;
  /** It is held for a moment only. */
  brief?: boolean;
}

/** This process, as the owner of a lock. */
export interface OwnClaim {
  owner: Owner;
  /** Ends what shows others that the owner lives. `folder`: where the lock is by now. */
  end(folder: string): Promise<void>;
}

/** What sockets of locks are called. */
export const SOCKET = ".live-";
/** The room for a socket's path is 104 bytes on some systems, a final zero included. */
const MAX_SOCKET_PATH_BYTES = 103;

/** ext, XFS, Btrfs, tmpfs, overlay, F2FS, ZFS, bcachefs. Of all others, some are shared by machines. */
const LOCAL_FILE_SYSTEMS = [
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e,
];

/** What to write into a lock in `folder`. It listens from before the lock is there until `end`. */
export async function claim(folder: string, { brief } = { brief: false }): Promise<OwnClaim> {
  const local = await isLocal(folder);
  const name = `${SOCKET}${crypto.randomUUID().slice(0, 8)}`;
  // Across machines a socket says nothing: on another one it refuses, whether its owner lives or not.
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
      // Node removes it where it was made; the folder may have another name by now.
      if (close) await rm(join(now, name), { force: true });
    },
  };
}

/** Whether the owner of a lock in `folder` may still run. True for one of which nothing can be known. */
export async function mayLive(folder: string, owner: Partial<Owner>): Promise<boolean> {
  const theirs = placeOf(owner.where);
  const ours = placeOf((await self()).where);
  if (ours.boot === "" || theirs.boot !== ours.boot) {
    // A file system has one kernel at a time: one of another boot has ended, whatever its machine was called.
    if (ours.boot !== "" && theirs.boot !== "" && owner.local === true && (await isLocal(folder)))
      return false;
    if (theirs.machine !== ours.machine) return true;
    if (theirs.boot !== ours.boot) return false;
  }
  // One boot is of one machine, which may have another name by now. Process numbers of another container mean nothing here.
  if (theirs.namespace !== ours.namespace) return (await knock(folder, owner)) !== "refused";
  if (typeof owner.pid !== "number" || (await startOf(owner.pid)) !== owner.started) return false;
  // A process runs on when a thread of it ends, and with that the owner. Node removes the sockets of such a thread, unless their folder has another name by then.
  const heard = await knock(folder, owner);
  return heard !== "refused" && heard !== "missing";
}

/** Whether it can be seen from here that the owner has ended. */
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
  return { pid: process.pid, command, started: started ?? "", where, host: hostname() };
}

function placeOf(where: unknown) {
  const [machine, boot = "", namespace = ""] = typeof where === "string" ? where.split("/") : [];
  return { machine, boot, namespace };
}

async function bootId(): Promise<string> {
  if (process.platform === "darwin") return outputOf("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid");
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();
}

/** What a machine is called after a reboot, too: macOS takes its host name from the network. */
async function machineName(): Promise<string> {
  if (process.platform !== "darwin") return hostname();
  const text = await outputOf("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice");
  return /"IOPlatformUUID" = "([^"/]+)"/.exec(text)?.[1] ?? hostname();
}

/** When a process started; undefined when there is none. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === "linux") {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
    // The second field is a name in parentheses that may itself hold spaces and parentheses; the start is the 22nd.
    const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A dead process that its parent has not waited for is still listed.
    return fields?.[0] === "Z" ? undefined : fields?.[19];
  }
  if (process.platform !== "win32")
    return (await outputOf("ps", "-o", "lstart=", "-p", String(pid))) || undefined;
  try {
    process.kill(pid, 0);
    return "";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "" : undefined;
  }
}

/** Empty where the command fails. */
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

/** Listens until the thread ends or what this resolves to is called, and keeps no process alive. Undefined where that cannot be. */
function listenAt(path: string): Promise<(() => void) | undefined> {
  // Longer ones are cut in silence by some versions of Node.
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
 * What is heard on an owner's socket. "refused": it is there and nobody listens, since that ends with its thread or process, however those end. "unknown":
 * there can be none, or it cannot be asked.
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
