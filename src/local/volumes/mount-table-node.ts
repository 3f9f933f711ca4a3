import { readFileSync, readlinkSync } from "node:fs";
import { refusedPermission } from "../../backend/errors.js";

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

  /** `table` is the text of /proc/self/mountinfo. Without it, any path may hang. @throws {BoxRunError} UNSUPPORTED when the runtime does not permit to read it */
  constructor(table: string = mountsHere()) {
    this.mounts = table.split("\n").flatMap((line) => {
      const [before = "", after] = line.split(" - ");
      const path = before.split(" ")[MOUNT_POINT];
      if (path === undefined || after === undefined) return [];
      return { path: unescaped(path), isOwn: OWN_TYPES.has(after.split(" ")[0]!) };
    });
  }

  /** Returns whether a call on the path may wait for another machine or program. Links are followed as far as that is certain not to wait. */
  mayHang(path: string): boolean {
    return this.follow(path) === undefined;
  }

  /** Returns whether a call on the path, or on something below it, may wait for another machine or program. */
  mayHangWithin(path: string): boolean {
    const at = this.follow(path);
    return at === undefined || this.mounts.some((mount) => !mount.isOwn && mount.path.startsWith(`${at}/`));
  }

  /** Returns the path without links, or undefined where it leads into a file system that may hang. */
  private follow(path: string): string | undefined {
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
      if (!this.isOwn(next)) return undefined;
      const target = linkAt(next);
      if (target === undefined) {
        at = next;
        continue;
      }
      // Whoever opens it gets to know what is wrong.
      if (++links > MAX_LINKS) return next;
      if (target.startsWith("/")) at = "";
      steps.unshift(...target.split("/"));
    }
    return this.isOwn(at) ? at : undefined;
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

/** Returns the kernel's list for this process; nothing where there is none. @throws {BoxRunError} UNSUPPORTED when the runtime does not permit it */
function mountsHere(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch (error) {
    const refused = refusedPermission(error);
    if (refused) throw refused;
    return "";
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
