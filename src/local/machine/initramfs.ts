const MODE_FILE = 0o100755;
const MODE_CONSOLE = 0o020600;
/** Magic of the kernel's archive format: see Documentation/driver-api/early-userspace/buffer-format.rst of Linux. */
const MAGIC = "070701";

/** Returns the archive that the kernel unpacks and starts: the agent as /init, and the console that it inherits. */
export function initramfs(agent: Uint8Array): Uint8Array {
  const entries = [
    entry("dev", 0o040755, 0, 0, new Uint8Array(0)),
    entry("dev/console", MODE_CONSOLE, 5, 1, new Uint8Array(0)),
    entry("init", MODE_FILE, 0, 0, agent),
    entry("TRAILER!!!", 0, 0, 0, new Uint8Array(0)),
  ];
  const archive = new Uint8Array(entries.reduce((sum, bytes) => sum + bytes.byteLength, 0));
  let offset = 0;
  for (const bytes of entries) {
    archive.set(bytes, offset);
    offset += bytes.byteLength;
  }
  return archive;
}

function entry(name: string, mode: number, major: number, minor: number, data: Uint8Array): Uint8Array {
  // In order: inode, mode, uid, gid, links, mtime, size, device (major, minor), special device (major, minor), name size, checksum.
  const fields = [0, mode, 0, 0, 1, 0, data.byteLength, 0, 0, major, minor, name.length + 1, 0];
  const head = MAGIC + fields.map((field) => field.toString(16).padStart(8, "0")).join("") + name;
  const nameEnd = padded(head.length + 1);
  const bytes = new Uint8Array(nameEnd + padded(data.byteLength));
  bytes.set(new TextEncoder().encode(head));
  bytes.set(data, nameEnd);
  return bytes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
