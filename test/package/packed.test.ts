import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { packOnce, recordOf, unpack } from "../../wasm/build/packed.mjs";

const raw = Buffer.from("what a guest boots ".repeat(100));

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-packed-"));
  path = join(folder, "thing.br");
});
afterEach(() => rmSync(folder, { recursive: true }));

it("a result of the build comes back as it was packed", () => {
  const record = recordOf(packOnce(path, raw), raw);
  expect(unpack(path, record)).toEqual(raw);
});

it.each<[string, (packed: Buffer) => Uint8Array, RegExp]>([
  ["is cut short", (packed) => packed.subarray(0, packed.length - 3), /cannot be unpacked into 1900 bytes/],
  ["holds more", () => brotliCompressSync(Buffer.concat([raw, raw])), /cannot be unpacked into 1900 bytes/],
  ["holds less", () => brotliCompressSync(raw.subarray(1)), /expected 1900 bytes in it, got 1899/],
  [
    "holds other bytes",
    () => brotliCompressSync(Buffer.from(raw).fill("x", 500, 501)),
    /expected the SHA-256/,
  ],
])("a result that %s is refused by name", (_what, spoil, why) => {
  const packed = packOnce(path, raw);
  writeFileSync(path, spoil(packed));
  expect(() => unpack(path, recordOf(packed, raw))).toThrow(why);
  expect(() => unpack(path, recordOf(packed, raw))).toThrow(path);
});

it("a file that holds the same bytes is left as it is, and one that does not is made again", () => {
  const otherwise = brotliCompressSync(raw, { params: {} });
  writeFileSync(path, otherwise);
  expect(packOnce(path, raw)).toEqual(otherwise);
  writeFileSync(path, otherwise.subarray(0, 20));
  packOnce(path, raw);
  expect(readFileSync(path).length).toBeGreaterThan(20);
  expect(unpack(path, recordOf(Buffer.alloc(0), raw))).toEqual(raw);
});
