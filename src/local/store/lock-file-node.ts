import { link, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LockOwner } from "./box-store.js";
import { canSee, claim, mayLive, type OwnClaim, type Owner, SOCKET } from "./lock-owner-node.js";

const NAME = /^lock\.(\d{1,15})$/;
const DRAFT = ".lock-";
/** A taker is done within milliseconds: what is older has been left by one that was killed. */
const LEFTOVER_AGE_MS = 60_000;

/**
 * A lock on a folder, by files in it: "lock.1", "lock.2" and so on. The owner is who made the one with the highest number, while it runs; numbers only
 * grow. Taking over from a process that has died means making the next number, which the file system lets only one process do. A file is removed only
 * when there is a higher one, so whoever read the folder before that and makes a number that was there once finds the higher one and gives up.
 *
 * Resolves to what releases it, or to null when another has it, in this process or in another. Rejects with ENOENT when there is no such folder.
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

/** Makes the first lock of a folder that nobody else knows yet. What it resolves to releases it, wherever the folder is by then. */
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

/** Whether anybody holds the lock of a folder. */
export async function isLockHeld(folder: string): Promise<boolean> {
  const highest = numbersOf(await readdir(folder)).at(-1);
  return highest !== undefined && isHeld(folder, highest);
}

/** Who holds the lock of a folder; undefined where that cannot be read. */
export async function describeLock(folder: string): Promise<LockOwner | undefined> {
  try {
    const file = path(folder, numbersOf(await readdir(folder)).at(-1) ?? 0);
    const owner = JSON.parse(await readFile(file, "utf8")) as Partial<Owner>;
    const { pid, command, host, since } = owner;
    const time = new Date(String(since));
    const seen = await canSee(owner);
    const name = `process ${pid}${command === undefined ? "" : ` (${command})`} on ${host}`;
    return {
      who: seen && pid === process.pid ? "another client of this process" : name,
      since: Number.isNaN(time.getTime()) ? null : time,
      ...(owner.brief === true && { brief: true }),
      // They count as held. Emptied, not deleted, since numbers only grow.
      ...(!seen && { hint: `if that process no longer runs, empty the file ${file}` }),
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
    // Empty, it stays: the next owner's number must be higher.
    await writeFile(path(folder, number), "").catch(ignoreMissing);
    await claimed.end(folder);
  };
}

/** Resolves to whether the lock with this number is the owner's now. */
async function makeFile(folder: string, number: number, owner: Owner): Promise<boolean> {
  const draft = join(folder, `${DRAFT}${crypto.randomUUID()}`);
  const file = await open(draft, "wx");
  try {
    await file.writeFile(JSON.stringify(owner));
    // It appears with its contents, or not at all when there is one already.
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
    // Its number was given out: emptied through the file that is open, since what failed may be opening another.
    await file.truncate(0).catch(() => {});
    throw error;
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}

/** Removes what takers that were killed have left beside the lock. */
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
    // Removed since the folder was read: there is a higher one.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return isLockHeld(folder);
    throw error;
  }
  if (text === "") return false;
  let owner: Partial<Owner> | null;
  try {
    owner = JSON.parse(text) as Partial<Owner> | null;
  } catch {
    // Files appear whole: only a power cut leaves half of one, and no process outlives that.
    return false;
  }
  return mayLive(folder, owner ?? {});
}

function path(folder: string, number: number): string {
  return join(folder, `lock.${number}`);
}

/** A box that is removed takes its lock with it. */
function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
