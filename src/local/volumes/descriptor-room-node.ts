import { readdirSync, readFileSync } from "node:fs";

/** Share of the descriptors of a process that may be in use when watches take more. The others are left to the program. */
const SHARE = 0.5;

/**
 * Returns false when this process has so many files open, in all of its threads, that watches take no more. True where the system does not say.
 *
 * @param process folder of the process in /proc
 */
export function hasDescriptorsLeft(process = "/proc/self"): boolean {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync(`${process}/limits`, "latin1"))?.[1];
    return limit === undefined || readdirSync(`${process}/fd`).length < Number(limit) * SHARE;
  } catch {
    return true;
  }
}
