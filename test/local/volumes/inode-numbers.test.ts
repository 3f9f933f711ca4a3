import { describe, expect, it } from "vitest";
import { InodeNumbers } from "../../../src/local/volumes/inode-numbers.js";

const [DISK, OTHER] = [2049, 77];
const LARGE = 2 ** 40;

describe("InodeNumbers", () => {
  it("keeps the host's numbers of a single volume", () => {
    const numbers = new InodeNumbers([DISK]);
    expect(numbers.of(0, DISK, 12)).toBe(12);
    expect(numbers.of(0, DISK, 2 ** 30)).toBe(2 ** 30);
  });

  it("gives one number to a file, and none to two", () => {
    const numbers = new InodeNumbers([DISK, DISK, OTHER]);
    const files = [0, 1, 2].flatMap((volume) =>
      [DISK, OTHER].flatMap((device) =>
        [1, 2, 2 ** 29, 2 ** 30, 2 ** 31, LARGE].map((inode) => [volume, device, inode]),
      ),
    ) as [number, number, number][];
    const given = files.map((file) => numbers.of(...file));
    expect(new Set(given).size).toBe(files.length);
    expect(files.map((file) => numbers.of(...file))).toEqual(given);
    for (const number of given) expect(number).toBeLessThan(2 ** 32 - 2);
  });

  it("forgets files that nobody has asked for in a long time, and gives their numbers to no other soon", () => {
    const numbers = new InodeNumbers([DISK]);
    const first = numbers.of(0, DISK, LARGE);
    const kept = numbers.of(0, DISK, LARGE + 1);
    const later = new Set<number>();
    for (let inode = 2; inode < 400_000; inode++) {
      later.add(numbers.of(0, DISK, LARGE + inode));
      if (inode % 1000 === 0) expect(numbers.of(0, DISK, LARGE + 1)).toBe(kept);
    }
    expect(later.size).toBe(400_000 - 2);
    expect(later.has(first)).toBe(false);
    expect(numbers.of(0, DISK, LARGE)).not.toBe(first);
  });
});
