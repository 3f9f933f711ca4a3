import { describe, expect, it } from "vitest";
import {
  decodeBootImage,
  encodeBootImage,
  fingerprint,
  joinBootImages,
  PAGE_BYTES,
  packPages,
  unpackPages,
} from "../../../src/local/machine/boot-image.js";

const parts = {
  emulator: "e",
  memoryMb: 1,
  devices: "d",
  kernel: "k",
  initramfs: "i",
  base: "b",
  disk: "",
};
const id = await fingerprint(parts);
const bootImage = {
  fingerprint: id,
  memoryMb: 1,
  state: Uint8Array.from([1, 2, 3]),
  disk: Uint8Array.from([4, 5]),
  pieces: [
    { page: 0, bytes: new Uint8Array(PAGE_BYTES).fill(9) },
    { page: 5, bytes: new Uint8Array(2 * PAGE_BYTES).fill(8) },
  ],
  continued: [1, 3],
};
const whole = encodeBootImage(bootImage);

const otherId = "2".repeat(64);
/** A machine like the one above: a byte of the state and a page are others, one page more, one less, one less of a pair. */
const other = {
  fingerprint: otherId,
  memoryMb: 1,
  state: Uint8Array.from([1, 7, 3, 4]),
  disk: new Uint8Array(0),
  pieces: [
    { page: 6, bytes: new Uint8Array(PAGE_BYTES).fill(8) },
    { page: 9, bytes: new Uint8Array(PAGE_BYTES).fill(9) },
  ],
  continued: [10, 2],
};
const both = encodeBootImage(bootImage, other);
const headerOf = (bytes: Uint8Array) => {
  const headerBytes = new DataView(bytes.buffer).getUint32(8, true);
  return JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + headerBytes)));
};
/** The boot image of both with another header. */
function withHeader(change: (machines: Record<string, unknown>[]) => void): Uint8Array {
  const header = headerOf(both);
  change(header.machines);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const data = both.subarray(12 + new DataView(both.buffer).getUint32(8, true));
  const bytes = new Uint8Array(12 + text.byteLength + data.byteLength);
  bytes.set(both.subarray(0, 12));
  new DataView(bytes.buffer).setUint32(8, text.byteLength, true);
  bytes.set(text, 12);
  bytes.set(data, 12 + text.byteLength);
  return bytes;
}

describe("boot images", () => {
  it("come back as they were", () => {
    expect(decodeBootImage(whole, id, 1)).toEqual(bootImage);
  });

  it("have another fingerprint when anything they depend on differs", async () => {
    const others = Object.keys(parts).map((key) =>
      fingerprint({ ...parts, [key]: key === "memoryMb" ? 2 : "x" }),
    );
    expect(new Set([id, ...(await Promise.all(others))]).size).toBe(8);
  });

  it("are refused when they were made for another machine", () => {
    expect(() => decodeBootImage(whole, "0".repeat(64), 1)).toThrow("another machine");
  });

  it("are refused when they are of a machine with more memory, however well their pages fit that", () => {
    const larger = { ...bootImage, memoryMb: 2 ** 40, continued: [6, 2 ** 47] };
    expect(() => decodeBootImage(encodeBootImage(larger), id, 1)).toThrow("another machine");
  });

  it.each(["null", "7", "[]", '"x"', "{", ""])("are refused with the header %j", (header) => {
    const bytes = new TextEncoder().encode(`BXSN0000000\0${header}`);
    new DataView(bytes.buffer).setUint32(4, 2, true);
    new DataView(bytes.buffer).setUint32(8, header.length, true);
    expect(() => decodeBootImage(bytes, id, 1)).toThrow(/^it/);
  });

  it("are refused wherever they are cut short", () => {
    for (let length = 0; length < whole.byteLength; length += length < 300 ? 1 : 997) {
      expect(() => decodeBootImage(whole.slice(0, length), id, 1)).toThrow();
    }
  });

  it("are refused with bytes left over", () => {
    const longer = new Uint8Array(whole.byteLength + 1);
    longer.set(whole);
    expect(() => decodeBootImage(longer, id, 1)).toThrow("truncated");
  });

  it.each([[[0, 1, 0, 1]], [[255, 2]], [[-1, 1]], [[0, 1.5]], [[0]], [[5, 2, 0, 1]]])(
    "are refused with the list of pages %j",
    (list) => {
      for (const [machine, key] of [
        [0, "runs"],
        [0, "continued"],
        [1, "runs"],
        [1, "kept"],
        [1, "stateRuns"],
      ] as const) {
        const bytes = withHeader((machines) => {
          machines[machine]![key] = list;
        });
        for (const wanted of [id, otherId]) expect(() => decodeBootImage(bytes, wanted, 1)).toThrow(/^it/);
      }
    },
  );
});

describe("boot images of two machines", () => {
  it("give back both, and hold only what differs of the second", () => {
    expect(decodeBootImage(both, id, 1)).toEqual(bootImage);
    expect(decodeBootImage(both, otherId, 1)).toEqual(other);
    expect(headerOf(both).machines[1]).toMatchObject({ kept: [6, 1], runs: [9, 1], stateRuns: [0, 1] });
    expect(joinBootImages(whole, encodeBootImage(other))).toEqual(both);
  });

  it("are refused wherever they are cut short, for both", () => {
    for (let length = 0; length < both.byteLength; length += length < 500 ? 1 : 997)
      for (const wanted of [id, otherId])
        expect(() => decodeBootImage(both.slice(0, length), wanted, 1)).toThrow();
  });

  it.each([
    ["keeps a page that the first has not", { kept: [7, 1] }],
    ["keeps more pages than the first has there", { kept: [6, 2] }],
    ["has a state larger than all that is there", { stateBytes: 2 ** 40 }],
    ["has a state of no size", { stateBytes: null }],
  ])("are refused when the second %s", (_, change) => {
    const bytes = withHeader((machines) => Object.assign(machines[1]!, change));
    expect(() => decodeBootImage(bytes, otherId, 1)).toThrow(/^it/);
  });

  it.each([0, 3])("are refused when there are %i machines", (count) => {
    const bytes = withHeader((machines) => {
      const [one] = machines;
      machines.splice(0, 2, ...Array.from({ length: count }, () => one!));
    });
    expect(() => decodeBootImage(bytes, id, 1)).toThrow("header");
  });
});

describe("pages", () => {
  it("that continue a series of records are made from what is before them", () => {
    const memory = new Uint8Array(5 * PAGE_BYTES);
    const words = new Int32Array(memory.buffer);
    for (let i = PAGE_BYTES / 4; i < words.length; i++)
      words[i] = i % 10 === 1 ? 0x7fff_f000 + 4 * i : i % 10;
    const packed = packPages(memory, (page) => page === 0);
    expect(packed).toEqual({
      pieces: [{ page: 1, bytes: memory.slice(PAGE_BYTES, 2 * PAGE_BYTES) }],
      continued: [2, 3],
    });
    const restored = new Uint8Array(memory.byteLength);
    unpackPages({ ...bootImage, ...packed }, restored);
    expect(restored).toEqual(memory);
  });

  it.each([[[0, 1]], [[1]], [[255, 2]]])("are refused when the list of continued ones is %j", (continued) => {
    expect(() => decodeBootImage(encodeBootImage({ ...bootImage, continued }), id, 1)).toThrow();
  });

  it("come back where they were, and zero ones are not kept", () => {
    const contents = [0, 7, 7, 7, 0, 8, 9, 7, 8, 0, 7, 7];
    const memory = new Uint8Array(contents.length * PAGE_BYTES);
    for (const [page, fill] of contents.entries())
      memory.fill(fill, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    const packed = packPages(memory, (page) => contents[page] === 0);
    const stored = packed.pieces.map(({ page, bytes }) => [page, bytes.byteLength / PAGE_BYTES]);
    expect(stored).toEqual([
      [1, 1],
      [5, 4],
      [10, 1],
    ]);
    const restored = new Uint8Array(memory.byteLength);
    unpackPages({ ...bootImage, ...packed }, restored);
    expect(restored).toEqual(memory);
  });
});
