import { execFile } from "node:child_process";
import { link, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Who holds a lock: enough to tell whether that process still runs. */
interface Owner {
  pid: number;
  /** When the process started, as its system says it: a later process may have the same number. */
  started: string;
  /** Where `pid` means that process: one boot of one machine, and in containers one namespace. */
  where: string;
  since: string;
}

const NAME = /^lock\.(\d{1,15})$/;

/**
 * A lock on a folder, by files in it: "lock.1", "lock.2" and so on. The owner is who made the one with the highest number, while it runs; numbers only
 * grow. Taking over from a process that has died means making the next number, which the file system lets only one process do. A file is removed only
 * when there is a higher one, so whoever read the folder before that and makes a number that was there once finds the higher one and gives up.
 *
 * Resolves to what releases it, or to null when another has it, in this process or in another. Rejects with ENOENT when there is no such folder.
 */
export async function takeLock(folder: string): Promise<(() => Promise<void>) | null> {
  const files = await lockFiles(folder);
  const highest = files.at(-1) ?? 0;
  if (highest > 0 && (await isHeld(folder, highest))) return null;
  const own = highest + 1;
  if (!(await makeFile(folder, own))) return null;
  const after = await lockFiles(folder);
  if (after.at(-1) !== own) {
    await rm(path(folder, own), { force: true });
    return null;
  }
  for (const number of after) if (number < own) await rm(path(folder, number), { force: true });
  // Empty, it stays: the next owner's number must be higher.
  return () => writeFile(path(folder, own), "").catch(ignoreMissing);
}

/** Makes the first lock of a folder that nobody else knows yet. */
export async function takeFirstLock(folder: string): Promise<void> {
  await writeFile(path(folder, 1), JSON.stringify(await self()), { flag: "wx" });
}

/** What releases a lock that {@link takeFirstLock} made, once the folder is where it stays. */
export function firstLock(folder: string): () => Promise<void> {
  return () => writeFile(path(folder, 1), "").catch(ignoreMissing);
}

/** Whether anybody holds the lock of a folder. */
export async function isLockHeld(folder: string): Promise<boolean> {
  const highest = (await lockFiles(folder)).at(-1);
  return highest !== undefined && isHeld(folder, highest);
}

async function lockFiles(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .map((name) => Number(NAME.exec(name)?.[1] ?? 0))
    .filter((number) => number > 0)
    .sort((a, b) => a - b);
}

/** False when there is such a file already. It appears with its contents. */
async function makeFile(folder: string, number: number): Promise<boolean> {
  const draft = join(folder, `.lock-${crypto.randomUUID()}`);
  await writeFile(draft, JSON.stringify(await self()));
  try {
    await link(draft, path(folder, number));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function isHeld(folder: string, number: number): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(path(folder, number), "utf8");
  } catch (error) {
    // Removed since the folder was read: there is a higher one.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return isLockHeld(folder);
    throw error;
  }
  if (text === "") return false;
  let owner: Partial<Owner>;
  try {
    owner = JSON.parse(text) as Partial<Owner>;
  } catch {
    // Files appear whole: only a power cut leaves half of one, and no process outlives that.
    return false;
  }
  const here = await self();
  // On another machine or in another container: nothing can be known of it from here, so it counts as alive.
  const theirs = placeOf(owner.where);
  const ours = placeOf(here.where);
  if (ours.boot === "" || theirs.boot !== ours.boot) {
    if (theirs.machine !== ours.machine) return true;
    if (theirs.boot !== ours.boot) return false;
  }
  // One boot is of one machine, which may have another name by now.
  if (theirs.namespace !== ours.namespace) return true;
  return typeof owner.pid === "number" && (await startOf(owner.pid)) === owner.started;
}

let ownIdentity: Promise<Owner> | undefined;

function self(): Promise<Owner> {
  ownIdentity ??= identify();
  return ownIdentity;
}

async function identify(): Promise<Owner> {
  const [started, boot, namespace] = await Promise.all([
    startOf(process.pid),
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
    readlink("/proc/self/ns/pid").catch(() => ""),
  ]);
  const where = `${hostname()}/${boot.trim()}/${namespace}`;
  return { pid: process.pid, started: started ?? "", where, since: new Date().toISOString() };
}

function placeOf(where = "") {
  const [machine, boot = "", namespace = ""] = where.split("/");
  return { machine, boot, namespace };
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
  if (process.platform !== "win32") {
    const { stdout } = await execute("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => ({
      stdout: "",
    }));
    return stdout.trim() || undefined;
  }
  try {
    process.kill(pid, 0);
    return "";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "" : undefined;
  }
}

function path(folder: string, number: number): string {
  return join(folder, `lock.${number}`);
}

/** A box that is removed takes its lock with it. */
function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
