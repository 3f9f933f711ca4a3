import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

/** Prints the number of each record once it is on the disk, as far as the guest can know. */
export const WRITER =
  "i=0; while :; do i=$((i+1)); head -c 20000 /dev/urandom > /root/r$i; echo $i >> /root/log; sync; echo $i; done";

/** Prints {@link intact} when the first `last` records are there, whole, and the kernel has found nothing wrong. */
export const CHECKER = (last: number) =>
  `for i in $(seq ${last}); do [ $(wc -c < /root/r$i) = 20000 ] || echo short $i; done; head -n ${last} /root/log | md5sum; dmesg | grep -ic 'ext4.*error'`;

/** What {@link CHECKER} prints when nothing is lost. */
export function intact(last: number): string {
  return `${execFileSync("sh", ["-c", `seq ${last} | md5sum`], { encoding: "utf8" })}0\n`;
}

/** e2fsck's own opinion of a disk at rest, which is not changed: `scratch` is a folder for a copy. */
export function checkDisk(disk: string, scratch: string): void {
  const copy = join(scratch, "copy");
  execFileSync("cp", ["--sparse=always", disk, copy]);
  try {
    // Replays the journal as a mount would, then finds nothing to mend: 0, or 1 for what the journal held.
    expect(statusOf("/sbin/e2fsck", ["-p", "-E", "journal_only", copy])).toBeLessThanOrEqual(1);
    expect(statusOf("/sbin/e2fsck", ["-fn", copy])).toBe(0);
  } finally {
    rmSync(copy);
  }
}

/** A disk of 8 GiB as a sparse file, from chunks of 64 KiB in base64 by number. */
export function writeDisk(path: string, chunks: readonly [number, string][]): void {
  const file = openSync(path, "w");
  try {
    ftruncateSync(file, 8 * 2 ** 30);
    for (const [number, base64] of chunks)
      writeSync(file, Buffer.from(base64, "base64"), 0, null, number * 65_536);
  } finally {
    closeSync(file);
  }
}

function statusOf(program: string, args: string[]): number {
  try {
    execFileSync(program, args, { stdio: "pipe" });
    return 0;
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: Buffer };
    if (status > 1) console.error(String(stdout));
    return status;
  }
}
