import { link, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LockOwner } from "./box-store.js";
import { canSee, claim, mayLive, type OwnClaim, type Owner, SOCKET } from "./lock-owner-node.js";

const NAME = /^lock\.(\d{1,15})$/;
const DRAFT = ".lock-";
/** Age from which the file of a taker is a leftover of a killed process, since taking a lock takes milliseconds. */
const LEFTOVER_AGE_MS = 60_000;

/**
 * Locks a folder, by files in it: "lock.1", "lock.2" and so on. The owner is the process that created the one with the highest number, while it runs; numbers
 * only grow. To take over from a dead process, another one creates the next number, which the file system lets only one process do. A file is removed only when
 * there is a higher one, so a process that read the folder before that and recreates an old number finds the higher one and gives up.
 *
 * Resolves to a function that releases the lock, or to null when another holds it, in this process or another. Rejects with ENOENT when there is no such
 * folder.
 */
export async function takeLock(
  folder: string,
  options?: { brief: boolean },
): Promise<(() => Promise<void>) | null> {
  const highest = numbersOf(await readdir(folder)).at(-1) ?? 0;
  if (highest > 0 && (await isHeld(folder, highest))) return null;
  const own = highest + 1;
  const claimed = await claim(folder, options);
  let taken = false;
  try {
    taken = await makeFile(folder, own, claimed.owner);
    return taken ? releaseOf(folder, own, claimed) : null;
  } finally {
    if (!taken) await claimed.end(folder);
  }
}

/** Creates the first lock of a folder that nobody else knows yet. The function that it resolves to releases it, wherever the folder is by then. */
export async function takeFirstLock(folder: string): Promise<(folder: string) => Promise<void>> {
  const claimed = await claim(folder);
  try {
    await writeFile(path(folder, 1), JSON.stringify(claimed.owner), { flag: "wx" });
  } catch (error) {
    await claimed.end(folder);
    throw error;
  }
  return (now) => releaseOf(now, 1, claimed)();
}

/** Checks whether anybody holds the lock of a folder. */
export async function isLockHeld(folder: string): Promise<boolean> {
  const highest = numbersOf(await readdir(folder)).at(-1);
  return highest !== undefined && isHeld(folder, highest);
}

/** Finds the holder of a folder's lock; undefined when it cannot be read. */
export async function describeLock(folder: string): Promise<LockOwner | undefined> {
  try {
    const file = path(folder, numbersOf(await readdir(folder)).at(-1) ?? 0);
    const owner = JSON.parse(await readFile(file, "utf8")) as Partial<Owner>;
    const { pid, command, host, since } = owner;
    const time = new Date(String(since));
    const seen = await canSee(owner);
    const name = `process ${pid}${command === undefined ? "" : ` (${command})`} on ${host}`;
    return {
      who: seen && pid === process.pid ? "another client in this process" : name,
      since: Number.isNaN(time.getTime()) ? null : time,
      ...(owner.brief === true && { brief: true }),
      // An owner that cannot be seen counts as alive. The file is to be emptied, not deleted, since numbers only grow.
      ...(!seen && { hint: `if that process is gone, empty the file ${file}` }),
    };
  } catch {
    return undefined;
  }
}

function numbersOf(names: readonly string[]): number[] {
  return names
    .map((name) => Number(NAME.exec(name)?.[1] ?? 0))
    .filter((number) => number > 0)
    .sort((a, b) => a - b);
}

function releaseOf(folder: string, number: number, claimed: OwnClaim): () => Promise<void> {
  return async () => {
    // The empty file stays, since the next owner's number must be higher.
    await writeFile(path(folder, number), "").catch(ignoreMissing);
    await claimed.end(folder);
  };
}

/** Creates the lock with this number. Resolves to whether it now belongs to the owner. */
async function makeFile(folder: string, number: number, owner: Owner): Promise<boolean> {
  const draft = join(folder, `${DRAFT}${crypto.randomUUID()}`);
  const file = await open(draft, "wx");
  try {
    await file.writeFile(JSON.stringify(owner));
    // The file appears with its contents, or not at all if there is one already.
    await link(draft, path(folder, number));
    const names = await readdir(folder);
    const numbers = numbersOf(names);
    if (numbers.at(-1) !== number) {
      await rm(path(folder, number), { force: true });
      return false;
    }
    for (const other of numbers) if (other < number) await rm(path(folder, other), { force: true });
    await sweep(folder, names, owner).catch(() => {});
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    // The number is used up. The file is emptied through its open handle, since opening another may be what failed.
    await file.truncate(0).catch(() => {});
    throw error;
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}

/** Removes files that killed takers left beside the lock. */
async function sweep(folder: string, names: readonly string[], { socket }: Owner): Promise<void> {
  for (const name of names) {
    if (name === socket || !(name.startsWith(DRAFT) || name.startsWith(SOCKET))) continue;
    const { mtimeMs } = await stat(join(folder, name));
    if (Date.now() - mtimeMs > LEFTOVER_AGE_MS) await rm(join(folder, name), { force: true });
  }
}

async function isHeld(folder: string, number: number): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(path(folder, number), "utf8");
  } catch (error) {
    // Removed since the folder was read, so there is a higher one.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return isLockHeld(folder);
    throw error;
  }
  if (text === "") return false;
  let owner: Partial<Owner> | null;
  try {
    owner = JSON.parse(text) as Partial<Owner> | null;
  } catch {
    // Files appear complete. Only a power cut leaves half of one, and no process outlives that.
    return false;
  }
  return mayLive(folder, owner ?? {});
}

function path(folder: string, number: number): string {
  return join(folder, `lock.${number}`);
}

/** Ignores a missing file: a box that is removed takes its lock with it. */
function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
