import { describe, expect, it } from "vitest";
import {
  decodeSnapshot,
  encodeSnapshot,
  fingerprint,
  PAGE_BYTES,
  packPages,
  unpackPages,
} from "../../src/local/machine/snapshot.js";

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
const snapshot = {
  fingerprint: id,
  memoryMb: 1,
  state: Uint8Array.from([1, 2, 3]),
  disk: Uint8Array.from([4, 5]),
  runs: [0, 1, 5, 2],
  continued: [1, 3],
  pages: new Uint8Array(3 * PAGE_BYTES).fill(9),
};
const whole = encodeSnapshot(snapshot);

describe("snapshots", () => {
  it("come back as they were", () => {
    expect(decodeSnapshot(whole, id, 1)).toEqual(snapshot);
  });

  it("have another fingerprint when anything they depend on differs", async () => {
    const others = Object.keys(parts).map((key) =>
      fingerprint({ ...parts, [key]: key === "memoryMb" ? 2 : "x" }),
    );
    expect(new Set([id, ...(await Promise.all(others))]).size).toBe(8);
  });

  it("are refused when they were made for another machine", () => {
    expect(() => decodeSnapshot(whole, "0".repeat(64), 1)).toThrow("another machine");
  });

  it("are refused when they are of a machine with more memory, however well their pages fit that", () => {
    const larger = { ...snapshot, memoryMb: 2 ** 40, continued: [6, 2 ** 47] };
    expect(() => decodeSnapshot(encodeSnapshot(larger), id, 1)).toThrow("another machine");
  });

  it.each(["null", "7", "[]", '"x"', "{", ""])("are refused with the header %j", (header) => {
    const bytes = new TextEncoder().encode(`BXSN0000000\0${header}`);
    new DataView(bytes.buffer).setUint32(4, 1, true);
    new DataView(bytes.buffer).setUint32(8, header.length, true);
    expect(() => decodeSnapshot(bytes, id, 1)).toThrow(/^it/);
  });

  it("are refused wherever they are cut short", () => {
    for (let length = 0; length < whole.byteLength; length += length < 300 ? 1 : 997) {
      expect(() => decodeSnapshot(whole.slice(0, length), id, 1)).toThrow();
    }
  });

  it("are refused with bytes left over", () => {
    const longer = new Uint8Array(whole.byteLength + 1);
    longer.set(whole);
    expect(() => decodeSnapshot(longer, id, 1)).toThrow("cut short");
  });

  it.each([[[0, 1, 0, 1]], [[255, 2]], [[-1, 1]], [[0, 1.5]], [[0]], [[5, 2, 0, 1]]])(
    "are refused with the list of pages %j",
    (runs) => {
      expect(() => decodeSnapshot(encodeSnapshot({ ...snapshot, runs }), id, 1)).toThrow();
    },
  );
});

describe("pages", () => {
  it("that continue a series of records are made from what is before them", () => {
    const memory = new Uint8Array(5 * PAGE_BYTES);
    const words = new Int32Array(memory.buffer);
    for (let i = PAGE_BYTES / 4; i < words.length; i++)
      words[i] = i % 10 === 1 ? 0x7fff_f000 + 4 * i : i % 10;
    const packed = packPages(memory, (page) => page === 0);
    expect(packed).toMatchObject({ runs: [1, 1], continued: [2, 3] });
    const restored = new Uint8Array(memory.byteLength);
    unpackPages({ ...snapshot, ...packed }, restored);
    expect(restored).toEqual(memory);
  });

  it.each([[[0, 1]], [[1]], [[255, 2]]])("are refused when the list of continued ones is %j", (continued) => {
    expect(() => decodeSnapshot(encodeSnapshot({ ...snapshot, continued }), id, 1)).toThrow();
  });

  it("come back where they were, and zero ones are not kept", () => {
    const contents = [0, 7, 7, 7, 0, 8, 9, 7, 8, 0, 7, 7];
    const memory = new Uint8Array(contents.length * PAGE_BYTES);
    for (const [page, fill] of contents.entries())
      memory.fill(fill, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    const packed = packPages(memory, (page) => contents[page] === 0);
    expect(packed.pages.byteLength).toBe(6 * PAGE_BYTES);
    const restored = new Uint8Array(memory.byteLength);
    unpackPages({ ...snapshot, ...packed }, restored);
    expect(restored).toEqual(memory);
  });
});
