import { describe, expect, it } from "vitest";
import { BOX_DISK_BYTES } from "../../../src/local/machine/disk.js";
import { decodeTemplate } from "../../../src/local/machine/disk-template.js";
import { ImageDisk } from "../../../src/local/machine/image-disk.js";
import { MemoryDisk } from "../../../src/local/machine/memory-disk.js";

describe("MemoryDisk", () => {
  it("gives back what was written, across chunks, and zeroes elsewhere", () => {
    const disk = new MemoryDisk();
    const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
    const at = 30 * 2 ** 30 + 12_345;
    disk.write(at, bytes);
    expect(disk.read(at, bytes.byteLength)).toEqual(bytes);
    expect(disk.read(at - 10, 12)).toEqual(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    expect(disk.read(BOX_DISK_BYTES - 512, 512)).toEqual(new Uint8Array(512));
  });

  it("keeps nothing of the array it was handed", () => {
    const disk = new MemoryDisk();
    const bytes = Uint8Array.from([1, 2, 3]);
    disk.write(0, bytes);
    bytes.fill(9);
    expect(disk.read(0, 3)).toEqual(Uint8Array.from([1, 2, 3]));
  });
});

describe("ImageDisk", () => {
  const chunksOf = (image: Uint8Array, late: boolean) => ({
    byteLength: image.byteLength,
    get: (number: number) => {
      const chunk = image.slice(number * 4, number * 4 + 4);
      return late ? Promise.resolve(chunk) : chunk;
    },
  });

  it("is as long as whole sectors, and reads zeroes beyond its image", () => {
    const disk = new ImageDisk(chunksOf(Uint8Array.from([1, 2, 3]), false), 4, () => {});
    expect(disk.byteLength).toBe(512);
    expect((disk.read(0, 512) as Uint8Array).subarray(0, 4)).toEqual(Uint8Array.from([1, 2, 3, 0]));
    disk.write();
    expect(disk.read(0, 3)).toEqual(Uint8Array.from([1, 2, 3]));
  });

  it("reads across chunks, whether they are there or come later", async () => {
    const image = Uint8Array.from({ length: 21 }, (_, i) => i + 1);
    for (const late of [false, true]) {
      const disk = new ImageDisk(chunksOf(image, late), 4, () => {});
      expect(await disk.read(3, 10)).toEqual(image.slice(3, 13));
      expect(await disk.read(19, 4)).toEqual(Uint8Array.from([20, 21, 0, 0]));
    }
  });
});

describe("disk templates", () => {
  const template = (extents: [number, Uint8Array][]) => {
    const data = extents.reduce((sum, [, bytes]) => sum + bytes.byteLength, 0);
    const out = new Uint8Array(20 + extents.length * 12 + data);
    const view = new DataView(out.buffer);
    view.setUint32(0, 0x50535842, true);
    view.setUint32(4, 1, true);
    view.setUint32(16, extents.length, true);
    let at = 20 + extents.length * 12;
    for (const [i, [offset, bytes]] of extents.entries()) {
      view.setBigUint64(20 + i * 12, BigInt(offset), true);
      view.setUint32(28 + i * 12, bytes.byteLength, true);
      out.set(bytes, at);
      at += bytes.byteLength;
    }
    return out;
  };

  it("are laid out on the disk", () => {
    const disk = new MemoryDisk();
    disk.writeAll(
      decodeTemplate(
        template([
          [1024, Uint8Array.from([1, 2])],
          [2 ** 33, Uint8Array.from([3])],
        ]),
      ),
    );
    expect(disk.read(1024, 2)).toEqual(Uint8Array.from([1, 2]));
    expect(disk.read(2 ** 33, 1)).toEqual(Uint8Array.from([3]));
  });

  it("can be taken of a disk, and give the same disk", () => {
    const disk = new MemoryDisk();
    disk.write(70_000, Uint8Array.from([1, 2, 3]));
    disk.write(2 ** 35, new Uint8Array(100_000).fill(7));
    const copy = new MemoryDisk();
    copy.writeAll(decodeTemplate(disk.toTemplate()));
    expect(copy.read(65_536, 10_000)).toEqual(disk.read(65_536, 10_000));
    expect(copy.read(2 ** 35 - 10, 100_020)).toEqual(disk.read(2 ** 35 - 10, 100_020));
  });

  it.each([
    ["of another form", Uint8Array.from({ length: 20 }, () => 7)],
    ["cut short in its data", template([[0, new Uint8Array(100)]]).subarray(0, 90)],
    ["cut short in its list", template([[0, new Uint8Array(0)]]).subarray(0, 24)],
    ["longer than the disk", template([[BOX_DISK_BYTES - 1, new Uint8Array(2)]])],
    ["empty", new Uint8Array(0)],
  ])("are refused when they are %s", (_what, bytes) => {
    expect(() => decodeTemplate(bytes)).toThrow();
  });
});
