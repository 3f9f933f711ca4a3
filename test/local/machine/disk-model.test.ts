import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StoredDisk } from "../../../src/local/machine/disk.js";
import { openFileDisk } from "../../../src/local/machine/disk-file-node.js";
import { decodeTemplate } from "../../../src/local/machine/disk-template.js";
import { MemoryDisk } from "../../../src/local/machine/memory-disk.js";
import {
  DISK_BYTES,
  DiskModel,
  newHistory,
  newRange,
  readWindows,
  readWindowsSync,
  type Step,
} from "../../robustness/crashes/disk-history.js";
import { Random } from "../../robustness/faults/random.js";

/** Stands between the disk and its file. */
interface Layer {
  /** The file may be all that is left, from here on. */
  onCrashPoint(): void;
  /** How many of the bytes are written before the call returns; 0: the file system is full. */
  room(bytes: number): number;
  onFlush(): void;
}
const layer = vi.hoisted(() => ({ current: undefined as Layer | undefined }));
vi.mock("node:fs", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs")>();
  const writeSync = (file: number, bytes: Uint8Array, at: number, length: number, offset: number) => {
    const { current } = layer;
    if (!current) return real.writeSync(file, bytes, at, length, offset);
    const room = current.room(length);
    if (room === 0) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    // A process that is killed inside this call has written any part of it.
    const half = Math.floor(room / 2);
    real.writeSync(file, bytes, at, half, offset);
    current.onCrashPoint();
    real.writeSync(file, bytes, at + half, room - half, offset + half);
    current.onCrashPoint();
    return room;
  };
  const fdatasync = (file: number, done: (error: Error | null) => void) =>
    real.fdatasync(file, (error) => {
      layer.current?.onFlush();
      done(error);
    });
  return { ...real, writeSync, fdatasync };
});

const SEEDS = [1, 2, 3, 4, 5, 6];
const STEPS = 40;

let path: string;
let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), "boxrun-model-"));
  path = join(folder, "disk");
});
afterEach(() => {
  layer.current = undefined;
  fs.rmSync(folder, { recursive: true });
});

/** As the next process finds the file: past the disk that wrote it. */
function fileWindows(): Uint8Array[] {
  const file = fs.openSync(path, "r");
  try {
    return readWindowsSync((offset, length) => {
      const bytes = new Uint8Array(length);
      fs.readSync(file, bytes, 0, length, offset);
      return bytes;
    });
  } finally {
    fs.closeSync(file);
  }
}

async function expectReads(disk: StoredDisk, model: DiskModel, random: Random): Promise<void> {
  for (let i = 0; i < 5; i++) {
    const { offset, length } = newRange(random);
    expect(Buffer.compare(await disk.read(offset, length), model.read(offset, length))).toBe(0);
  }
}

const write = (disk: StoredDisk, step: Step) =>
  step.length === 1 ? disk.write(step[0]!.offset, step[0]!.bytes) : disk.writeAll(step);

describe("a disk in a file, in a random history", () => {
  it.each(SEEDS)(
    "holds all that it acknowledged, and beside that only of the write under way, wherever its process ends (%d)",
    async (seed) => {
      const random = new Random(seed);
      const durability = random.pick(["relaxed", "strict"] as const);
      const model = new DiskModel();
      let underWay: Step = [];
      let crashes = 0;
      let unflushed = 0;
      layer.current = {
        onCrashPoint: () => {
          crashes++;
          unflushed++;
          expect(model.difference(fileWindows(), underWay)).toBeUndefined();
        },
        room: (bytes) => (random.chance(0.2) ? 1 + random.size(bytes - 1) : bytes),
        onFlush: () => {
          unflushed = 0;
        },
      };
      const disk = openFileDisk(path, { create: true, bytes: DISK_BYTES, durability });
      for (const step of newHistory(random, STEPS)) {
        underWay = step;
        await write(disk, step);
        model.write(step);
        // Acknowledged: nothing of it may be missing now, nor after a power cut under strict.
        underWay = [];
        expect(model.difference(fileWindows())).toBeUndefined();
        if (durability === "strict") expect(unflushed).toBe(0);
        await expectReads(disk, model, random);
      }
      await disk.close();
      expect(crashes).toBeGreaterThan(STEPS);
      const again = openFileDisk(path, { create: false, bytes: DISK_BYTES, durability });
      expect(model.difference(await readWindows(again.read))).toBeUndefined();
      await again.close();
    },
  );

  it.each(SEEDS)(
    "loses nothing acknowledged to a file system that is full at any write (%d)",
    async (seed) => {
      const random = new Random(seed);
      const model = new DiskModel();
      let full = false;
      layer.current = {
        onCrashPoint: () => {},
        room: (bytes) => (full ? 0 : bytes),
        onFlush: () => {},
      };
      const disk = openFileDisk(path, { create: true, bytes: DISK_BYTES, durability: "relaxed" });
      for (const step of newHistory(random, STEPS)) {
        let room = random.size(400_000);
        layer.current.room = (bytes) => {
          const taken = Math.min(bytes, room);
          room -= taken;
          full = taken === 0;
          return taken;
        };
        try {
          await write(disk, step);
        } catch (error) {
          expect(error).toMatchObject({ code: "STORAGE_FULL", retryable: true });
          expect(full).toBe(true);
          expect(model.difference(fileWindows(), step)).toBeUndefined();
          // Once there is room, the same again makes it whole.
          layer.current.room = (bytes) => bytes;
          await write(disk, step);
        }
        model.write(step);
        expect(model.difference(fileWindows())).toBeUndefined();
      }
      await disk.close();
    },
  );
});

describe("a disk in memory, in a random history", () => {
  it.each(SEEDS)(
    "holds what was written, and so does what is kept of it for the next run (%d)",
    async (seed) => {
      const random = new Random(seed);
      const model = new DiskModel();
      let disk = new MemoryDisk(DISK_BYTES);
      for (const step of newHistory(random, STEPS)) {
        await write(disk, step);
        model.write(step);
        await expectReads(disk, model, random);
        if (!random.chance(0.1)) continue;
        const next = new MemoryDisk(DISK_BYTES);
        next.writeAll(decodeTemplate(disk.toTemplate()));
        await disk.close();
        disk = next;
      }
      expect(
        model.difference(await readWindows((offset, length) => disk.read(offset, length))),
      ).toBeUndefined();
    },
  );
});
