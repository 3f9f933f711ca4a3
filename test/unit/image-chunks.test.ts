import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { Assets } from "../../src/local/assets.js";
import { IMAGE_CHUNK_BYTES, loadChunkList } from "../../src/local/image-chunks.js";

const IMAGE = {
  name: "tiny",
  aliases: [],
  standsFor: [],
  description: "",
  base: "list",
  baseBytes: IMAGE_CHUNK_BYTES + 1,
  baseSha256: "0".repeat(64),
  baseDownloadBytes: 1,
  snapshots: [],
};

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
  const source = {
    location: "memory:",
    keeps: true as const,
    isHere: async () => true,
    read: async () => packed,
    readLatest: async () => packed,
    gunzip: async (bytes: Uint8Array) => new Uint8Array(gunzipSync(bytes)),
  };
  return new Assets(source, { version: 3, files: { list: entry }, images: [IMAGE] });
}

it("a list of chunks says how much to read of each, and how much is in it", async () => {
  const found = await loadChunkList(assetsWith([7, IMAGE_CHUNK_BYTES + 100]), IMAGE);
  expect(found.map(({ bytes, rawBytes }) => [bytes, rawBytes])).toEqual([
    [7, IMAGE_CHUNK_BYTES],
    [IMAGE_CHUNK_BYTES + 100, 1],
  ]);
});

it.each([
  ["is too short", [1], /not as many chunks/],
  ["is too long", [1, 1, 1], /not as many chunks/],
  ["has a chunk of 4 GB", [1, 0xffff_ffff], /too large/],
])("a list of chunks that %s is refused by name", async (_what, lengths, why) => {
  const loading = loadChunkList(assetsWith(lengths), IMAGE);
  await expect(loading).rejects.toMatchObject({
    code: "IMAGE_PULL_FAILED",
    message: expect.stringMatching(why),
  });
});
