import { readFileSync, readlinkSync } from "node:fs";

/** File systems on this machine's own disks and in its memory. A call on any other may wait for another machine or program, for ever. */
const OWN_TYPES = new Set(
  "bcachefs btrfs erofs exfat ext2 ext3 ext4 f2fs iso9660 jfs ntfs3 overlay ramfs reiserfs rootfs squashfs tmpfs udf vfat xfs zfs devtmpfs proc sysfs".split(
    " ",
  ),
);
/** Links that a path may go over, as in Linux. */
const MAX_LINKS = 40;
/** Place of the mount point among the fields of /proc/self/mountinfo, which end with " - " and the type. */
const MOUNT_POINT = 4;

interface MountPoint {
  path: string;
  isOwn: boolean;
}

/** The file systems that are mounted here, by the kernel's list. It asks none of them, because one that hangs answers nothing. */
export class MountTable {
  private readonly mounts: readonly MountPoint[];

  /** `table` is the text of /proc/self/mountinfo. */
  constructor(table: string = readFileSync("/proc/self/mountinfo", "utf8")) {
    this.mounts = table.split("\n").flatMap((line) => {
      const [before = "", after] = line.split(" - ");
      const path = before.split(" ")[MOUNT_POINT];
      if (path === undefined || after === undefined) return [];
      return { path: unescaped(path), isOwn: OWN_TYPES.has(after.split(" ")[0]!) };
    });
  }

  /** Returns whether a call on the path, or on something below it, may wait for another machine or program. Links are followed as far as that is certain not to wait. */
  mayHang(path: string): boolean {
    const steps = path.split("/");
    let at = "";
    for (let links = 0; steps.length > 0; ) {
      const step = steps.shift()!;
      if (step === "" || step === ".") continue;
      if (step === "..") {
        at = at.slice(0, at.lastIndexOf("/"));
        continue;
      }
      const next = `${at}/${step}`;
      if (!this.isOwn(next)) return true;
      const target = linkAt(next);
      if (target === undefined) {
        at = next;
        continue;
      }
      // Whoever opens it gets to know what is wrong.
      if (++links > MAX_LINKS) return false;
      if (target.startsWith("/")) at = "";
      steps.unshift(...target.split("/"));
    }
    return !this.isOwn(at) || this.mounts.some((mount) => !mount.isOwn && mount.path.startsWith(`${at}/`));
  }

  /** Tells by the mount that covers a path without links. Of several on one directory, the last is seen. */
  private isOwn(path: string): boolean {
    let found: MountPoint | undefined;
    for (const mount of this.mounts) {
      const covers = mount.path === "/" || path === mount.path || path.startsWith(`${mount.path}/`);
      if (covers && mount.path.length >= (found?.path.length ?? 0)) found = mount;
    }
    return found?.isOwn ?? false;
  }
}

/** Returns the target of a link, or undefined for what is none. */
function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Returns a path of the kernel's list, where blanks and backslashes are octal numbers. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
