import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

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

/**
 * e2fsck's own opinion of a disk at rest, which is not changed: `scratch` is a folder for a copy, which `look` is given as the next mount
 * will find it. Throws what e2fsck says of a damaged one.
 */
export function checkDisk(disk: string, scratch: string, look: (copy: string) => void = () => {}): void {
  const copy = join(scratch, "copy");
  execFileSync("cp", ["--sparse=always", disk, copy]);
  try {
    // Replays the journal as a mount would, then finds nothing to mend: 0, or 1 for what the journal held.
    run("/sbin/e2fsck", ["-p", "-E", "journal_only", copy], 1);
    run("/sbin/e2fsck", ["-fn", copy], 0);
    look(copy);
  } finally {
    rmSync(copy);
  }
}

/** Copies a folder of the guest's out of a disk; an empty one where there is none. */
export function copyOut(disk: string, path: string, folder: string): void {
  mkdirSync(folder);
  // It says what is missing, and ends well all the same.
  execFileSync("/sbin/debugfs", ["-R", `rdump /upper${path} ${folder}`, disk], { stdio: "pipe" });
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

function run(program: string, args: string[], highestStatus: number): void {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== null && status <= highestStatus) return;
  throw new Error(`${program} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
}
