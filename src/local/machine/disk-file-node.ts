import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";
import { BoxRunError } from "../../backend/errors.js";
import { fileSystemError } from "../store/failures-node.js";
import { BOX_DISK_BYTES, type Extent, type StoredDisk } from "./disk.js";

const flush = promisify(fdatasync);

/**
 * Opens a disk in a sparse file as long as its file system. A write is in the kernel's hands when it is acknowledged, so it outlives this process; under
 * "strict" it has reached the device. Reads and writes are synchronous, since the thread has nothing else to do meanwhile.
 *
 * @throws {BoxRunError} STATE_MISMATCH for a file of another size, which was truncated or is not this box's
 */
export function openFileDisk(
  path: string,
  options: { create: boolean; bytes: number; durability: "relaxed" | "strict" },
): StoredDisk {
  const file = open(path, options);
  const strict = options.durability === "strict";
  const write = ({ offset, bytes }: Extent) => {
    // Only a hostile guest writes beyond the file system.
    if (offset + bytes.byteLength > options.bytes) return;
    for (let at = 0; at < bytes.byteLength; ) {
      at += attempt(() => writeSync(file, bytes, at, bytes.byteLength - at, offset + at));
    }
  };
  const committed = () =>
    strict ? flush(file).catch((error) => Promise.reject(fileSystemError(error))) : undefined;
  return {
    byteLength: BOX_DISK_BYTES,
    read: (offset, length) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const count = attempt(() => readSync(file, bytes, at, length - at, offset + at));
        // Past the end of the file: the device is larger than its file system, and zero there.
        if (count === 0) break;
        at += count;
      }
      return bytes;
    },
    write: (offset, bytes) => {
      write({ offset, bytes });
      return committed();
    },
    writeAll: (extents) => {
      extents.forEach(write);
      return committed();
    },
    close: async () => closeSync(file),
  };
}

function open(path: string, { create, bytes }: { create: boolean; bytes: number }): number {
  return attempt(() => {
    if (create) {
      const made = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      ftruncateSync(made, bytes);
      return made;
    }
    let file: number;
    try {
      file = openSync(path, constants.O_RDWR);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new BoxRunError("STATE_MISMATCH", `the box's disk is missing: ${path} does not exist`);
    }
    const { size } = fstatSync(file);
    if (size === bytes) return file;
    closeSync(file);
    throw new BoxRunError(
      "STATE_MISMATCH",
      `the box's disk is damaged: ${path} has ${size} bytes, expected ${bytes}`,
      { hint: "restore the file, or remove the box" },
    );
  });
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fileSystemError(error);
  }
}
