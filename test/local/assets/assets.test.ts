import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AssetSource, ReadOptions } from "../../../src/local/assets/asset-source.js";
import { webAssetSource } from "../../../src/local/assets/asset-source-web.js";
import { Assets, loadVerified } from "../../../src/local/assets/assets.js";
import { readManifest } from "../../../src/local/assets/manifest.js";

const raw = new TextEncoder().encode("the contents");
const packed = new Uint8Array(gzipSync(raw));
const entry = {
  file: "thing.bin",
  bytes: packed.byteLength,
  rawBytes: raw.byteLength,
  rawSha256: createHash("sha256").update(raw).digest("hex"),
};

function sourceOf(files: Record<string, Uint8Array | string>): AssetSource {
  const read: AssetSource["read"] = async (file) => {
    const found = files[file];
    if (found === undefined) throw new Error("404");
    return typeof found === "string" ? new TextEncoder().encode(found) : found;
  };
  return {
    location: "memory:",
    keeps: true,
    isHere: async () => true,
    read,
    readLatest: (file) => read(file),
    gunzip: async (bytes, maxBytes) => new Uint8Array(gunzipSync(bytes, { maxOutputLength: maxBytes })),
  };
}

function manifest(thing: object = entry): string {
  return JSON.stringify({ version: 4, files: { thing }, images: [] });
}

async function open(files: Record<string, Uint8Array | string>): Promise<Assets> {
  const source = sourceOf(files);
  return new Assets(source, await readManifest(source));
}

async function load(files: Record<string, Uint8Array | string>): Promise<Uint8Array> {
  return (await open(files)).load("thing");
}

/** Bytes of it. */
let flooded = 0;
/** Writes as much as is taken, for ever. */
function flood(response: ServerResponse): void {
  do flooded += 2 ** 16;
  while (response.write(" ".repeat(2 ** 16)));
  response.once("drain", () => flood(response));
}

describe("assets", () => {
  it("are handed out verified and inflated", async () => {
    expect(await load({ "manifest.json": manifest(), "thing.bin": packed })).toEqual(raw);
  });

  const flipped = packed.slice();
  // In the compressed data: the header's bytes mean nothing.
  flipped[12]! ^= 1;
  const swapped = new Uint8Array(gzipSync(new TextEncoder().encode("THE contents")));
  it.each([
    ["there is no manifest", {}, /cannot read manifest\.json from memory:/],
    ["the manifest is a page of HTML", { "manifest.json": "<!doctype html>" }, /is not JSON/],
    ["the manifest is of another form", { "manifest.json": '{"version":1}' }, /manifest\.json .*version/],
    [
      "the manifest names a file elsewhere",
      { "manifest.json": manifest({ ...entry, file: "../../etc/passwd" }) },
      /manifest\.json/,
    ],
    [
      "the manifest has a name that every object has",
      { "manifest.json": manifest().replace("thing", "constructor") },
      /invalid files\.constructor/,
    ],
    ["the file is missing", { "manifest.json": manifest() }, /cannot read thing\.bin/],
    [
      "the file is damaged",
      { "manifest.json": manifest(), "thing.bin": flipped },
      /thing\.bin .*decompressed/,
    ],
    [
      "the file is cut short",
      { "manifest.json": manifest(), "thing.bin": packed.subarray(0, 10) },
      /thing\.bin .*decompressed/,
    ],
    [
      "the file is whole and holds something else",
      { "manifest.json": manifest(), "thing.bin": swapped },
      /thing\.bin .*does not match its hash/,
    ],
    [
      "the file inflates to more than the manifest says",
      { "manifest.json": manifest({ ...entry, rawBytes: 3 }), "thing.bin": packed },
      /thing\.bin .*decompressed/,
    ],
    [
      "the file inflates to less than the manifest says",
      { "manifest.json": manifest({ ...entry, rawBytes: 100 }), "thing.bin": packed },
      /thing\.bin .*has 12 bytes when decompressed, expected 100/,
    ],
  ])("are refused when %s", async (_what, files, why) => {
    const error = await load(files).catch((caught) => caught);
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toMatch(why);
  });

  it("are refused when the manifest does not list them", async () => {
    const assets = await open({ "manifest.json": manifest() });
    await expect(assets.load("other")).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
  });

  it("have one limit of time for both readings of what is not as it should be", async () => {
    const readings: ReadOptions[] = [];
    const memory = sourceOf({ "manifest.json": manifest(), "thing.bin": flipped });
    const source: AssetSource = {
      ...memory,
      read: (file, options = {}) => {
        readings.push(options);
        return memory.read(file);
      },
    };
    const assets = new Assets(source, await readManifest(source));
    await expect(assets.load("thing")).rejects.toThrow(/decompressed/);
    const limits = readings.map(({ until }) => until);
    expect(limits).toEqual([limits[0], limits[0]]);
    expect(limits[0]).toBeLessThan(performance.now() + 30_000);
  });

  describe("on a web server", () => {
    let server: Server;
    let source: AssetSource;
    /** Of the connection, when the client has closed it. */
    let left: Promise<unknown>;
    beforeEach(async () => {
      server = createServer((request, response) => {
        left = once(response, "close");
        response.writeHead(200);
        // One never sends a byte, the other never ends.
        if (request.url === "/manifest.json") return flood(response);
        if (request.url === "/endless") setInterval(() => response.write("more"), 1).unref();
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      source = webAssetSource(`http://127.0.0.1:${port}/`, sourceOf({}).gunzip, "nothing is kept");
    });
    afterEach(() => server.close().closeAllConnections());

    it("are given up at their limit", async () => {
      await expect(source.read("silent", { until: performance.now() + 200 })).rejects.toMatchObject({
        name: "TimeoutError",
      });
      await left;
    });

    it("have a manifest that is read no further than manifests are long", async () => {
      await expect(readManifest(source)).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
      await left;
      expect(flooded).toBeLessThan(64 * 2 ** 20);
    });

    it("are read no further than their length", async () => {
      const endless = { file: "endless", bytes: 10, rawBytes: 10, rawSha256: "0".repeat(64) };
      await expect(loadVerified(source, endless)).rejects.toThrow(/endless .*decompressed/);
      await left;
    });
  });
});
