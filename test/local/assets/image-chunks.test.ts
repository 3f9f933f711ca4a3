import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { type AssetSource, PassingFailure } from "../../../src/local/assets/asset-source.js";
import { Assets } from "../../../src/local/assets/assets.js";
import {
  IMAGE_CHUNK_BYTES,
  ImageChunks,
  type ImageTrouble,
  loadChunkList,
} from "../../../src/local/assets/image-chunks.js";
import { deferred } from "../../../src/util/deferred.js";

const IMAGE = {
  name: "tiny",
  aliases: [],
  standsFor: [],
  description: "",
  base: "list",
  baseBytes: IMAGE_CHUNK_BYTES + 1,
  baseSha256: "0".repeat(64),
  baseDownloadBytes: 1,
  bootImages: [],
};

function sourceOf(read: AssetSource["read"], isHere: AssetSource["isHere"]): AssetSource {
  const gunzip = async (bytes: Uint8Array) => new Uint8Array(gunzipSync(bytes));
  return { location: "memory:", keeps: true, isHere, read, readLatest: (file) => read(file), gunzip };
}

/** Assets with a list that says of each chunk how long it is, compressed. */
function assetsWith(lengths: readonly number[]): Assets {
  const list = new Uint8Array(36 * lengths.length);
  for (const [i, length] of lengths.entries()) new DataView(list.buffer).setUint32(36 * i + 32, length, true);
  const packed = new Uint8Array(gzipSync(list));
  const entry = {
    file: "list.bin",
    bytes: packed.byteLength,
    rawBytes: list.byteLength,
    rawSha256: createHash("sha256").update(list).digest("hex"),
  };
  const source = sourceOf(
    async () => packed,
    async () => true,
  );
  return new Assets(source, { version: 4, files: { list: entry }, images: [IMAGE] });
}

it("a list of chunks says how much to read of each, and how much is in it", async () => {
  const found = await loadChunkList(assetsWith([7, IMAGE_CHUNK_BYTES + 100]), IMAGE);
  expect(found.map(({ bytes, rawBytes }) => [bytes, rawBytes])).toEqual([
    [7, IMAGE_CHUNK_BYTES],
    [IMAGE_CHUNK_BYTES + 100, 1],
  ]);
});

it.each([
  ["is too short", [1], /does not have as many chunks/],
  ["is too long", [1, 1, 1], /does not have as many chunks/],
  ["has a chunk of 4 GB", [1, 0xffff_ffff], /too large/],
])("a list of chunks that %s is refused by name", async (_what, lengths, why) => {
  const loading = loadChunkList(assetsWith(lengths), IMAGE);
  await expect(loading).rejects.toMatchObject({
    code: "IMAGE_PULL_FAILED",
    message: expect.stringMatching(why),
  });
});

/** An image of which each chunk is full of its number. A file is read from what is kept here, else from a network that may be down. */
async function imageOf(count: number) {
  const network = { isDown: false, cache: Promise.resolve() };
  const here = new Set<string>();
  const spoilt = new Set<string>();
  const files = new Map<string, Uint8Array>();
  const list = new Uint8Array(36 * count);
  for (let i = 0; i < count; i++) {
    const contents = new Uint8Array(IMAGE_CHUNK_BYTES).fill(i);
    const packed = new Uint8Array(gzipSync(contents));
    const hash = createHash("sha256").update(contents).digest();
    list.set(hash, 36 * i);
    new DataView(list.buffer).setUint32(36 * i + 32, packed.byteLength, true);
    files.set(`chunks/${hash.toString("hex").slice(0, 20)}.bin`, packed);
  }
  const packedList = new Uint8Array(gzipSync(list));
  const entry = {
    file: "list.bin",
    bytes: packedList.byteLength,
    rawBytes: list.byteLength,
    rawSha256: createHash("sha256").update(list).digest("hex"),
  };
  files.set(entry.file, packedList);
  const read = async (file: string) => {
    if (network.isDown && !here.has(file)) throw new PassingFailure("there is no network");
    if (here.has(file)) await network.cache;
    return spoilt.has(file) ? new Uint8Array(files.get(file)!.byteLength) : files.get(file)!;
  };
  const source = sourceOf(read, async (file) => here.has(file));
  const image = { ...IMAGE, baseBytes: count * IMAGE_CHUNK_BYTES };
  const assets = new Assets(source, { version: 4, files: { list: entry }, images: [image] });
  const chunks = await ImageChunks.open(assets, image);
  const troubles: ImageTrouble[] = [];
  chunks.onTrouble = (trouble) => troubles.push(trouble);
  /** Reads as a guest does. */
  const guestReads = async (number: number) => {
    try {
      return (await chunks.get(number))[0];
    } catch (error) {
      chunks.noteUnreadable(error);
      return undefined;
    }
  };
  const name = (number: number) => [...files.keys()][number]!;
  return { network, here, spoilt, name, guestReads, troubles };
}

it("a chunk that is kept here does not say that the network is back, one that comes over it does", async () => {
  const { network, here, name, guestReads, troubles } = await imageOf(9);
  here.add(name(4));
  network.isDown = true;
  expect(await guestReads(2)).toBeUndefined();
  expect(troubles).toMatchObject([{ offline: expect.stringContaining("no network"), damaged: null }]);
  expect(await guestReads(4)).toBe(4);
  expect(troubles).toHaveLength(1);
  network.isDown = false;
  expect(await guestReads(8)).toBe(8);
  expect(troubles.slice(1)).toEqual([{ offline: null, damaged: null }]);
});

it("nor does one that is kept here and was being read when the network went", async () => {
  const { network, here, name, guestReads, troubles } = await imageOf(9);
  const cache = deferred();
  network.cache = cache.promise;
  here.add(name(4));
  const reading = guestReads(4);
  network.isDown = true;
  expect(await guestReads(2)).toBeUndefined();
  cache.resolve();
  expect(await reading).toBe(4);
  expect(troubles).toMatchObject([{ offline: expect.stringContaining("no network") }]);
});

it("a chunk that is damaged and was only fetched ahead is no trouble", async () => {
  const { spoilt, name, guestReads, troubles } = await imageOf(9);
  spoilt.add(name(2)).add(name(7));
  expect([await guestReads(0), await guestReads(1)]).toEqual([0, 1]);
  expect(await guestReads(7)).toBeUndefined();
  expect(troubles).toMatchObject([{ offline: null, damaged: expect.stringContaining(name(7)) }]);
  spoilt.delete(name(7));
  expect(await guestReads(7)).toBe(7);
  expect(troubles.slice(1)).toEqual([{ offline: null, damaged: null }]);
});
