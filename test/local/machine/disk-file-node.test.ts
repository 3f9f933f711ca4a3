import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openFileDisk } from "../../../src/local/machine/disk-file-node.js";

const flushed = vi.hoisted(() => [] as number[]);
vi.mock("node:fs", async (importOriginal) => {
  const fs = await importOriginal<typeof import("node:fs")>();
  const fdatasync = (file: number, done: (error: Error | null) => void) =>
    fs.fdatasync(file, (error) => {
      flushed.push(file);
      done(error);
    });
  return { ...fs, fdatasync };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-disk-"));
  flushed.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

it.each([
  ["relaxed", 0],
  ["strict", 1],
] as const)(
  "a write to a disk in a file is there when it is acknowledged, on the device under strict (%s)",
  async (durability, flushes) => {
    const path = join(folder, "disk");
    const disk = openFileDisk(path, { create: true, bytes: 4096, durability });
    await disk.write(512, new Uint8Array(512).fill(7));
    expect(flushed).toHaveLength(flushes);
    expect(readFileSync(path).subarray(510, 514)).toEqual(Buffer.from([0, 0, 7, 7]));
    await disk.writeAll([{ offset: 0, bytes: new Uint8Array(512).fill(1) }]);
    expect(flushed).toHaveLength(2 * flushes);
    await disk.close();
  },
);
