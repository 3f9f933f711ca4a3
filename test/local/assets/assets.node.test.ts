import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { BoxRunClient } from "boxrun";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failure } from "../../../src/testing/contract/tools.js";
import { ROOT } from "../../root.js";

const ASSETS = join(ROOT, "dist/assets");

interface Manifest {
  files: Record<string, { file: string; bytes: number; rawBytes: number; rawSha256: string }>;
  images: { bootImages: { name: string; memoryMb: number; disk: string | null; fingerprint: string }[] }[];
}

/** The chunks of the small image, by the beginning of their names, in order. */
const LISTED: Manifest = JSON.parse(readFileSync(join(ASSETS, "manifest.json"), "utf8"));
const CHUNK_LIST = gunzipSync(readFileSync(join(ASSETS, LISTED.files["tiny.chunks"]!.file)));
const TINY_CHUNKS = Array.from(
  { length: CHUNK_LIST.length / 36 },
  (_, i) => `${CHUNK_LIST.subarray(i * 36, i * 36 + 10).toString("hex")}.bin`,
);

/** A copy of the assets for each test to spoil. */
let folder: string;
let manifest: Manifest;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-assets-"));
  // Without those of the large image, which no test here reads.
  const isOther = (path: string) =>
    /debian/.test(path) || (/\/chunks\/./.test(path) && !TINY_CHUNKS.includes(basename(path)));
  cpSync(ASSETS, folder, { recursive: true, filter: (path) => !isOther(path) });
  manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const pathOf = (name: string) => join(folder, manifest.files[name]!.file);

function replaceAsset(name: string, raw: Uint8Array): void {
  const packed = gzipSync(raw);
  const entry = manifest.files[name]!;
  writeFileSync(pathOf(name), packed);
  entry.bytes = packed.byteLength;
  entry.rawBytes = raw.byteLength;
  entry.rawSha256 = createHash("sha256").update(raw).digest("hex");
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
}

async function createBox() {
  const client = new BoxRunClient({ backend: "local", local: { assets: folder, persistent: false } });
  try {
    const box = await client.create("tiny", { memoryMb: 256 });
    const { stdout } = await box.exec("echo works");
    return { local: box.info.local!, stdout };
  } finally {
    await client.close();
  }
}

describe("a boot image that cannot be used", () => {
  const bootImage = "boot-image-tiny-256";
  const cases: [string, RegExp, () => void][] = [
    ["missing", /cannot read/, () => rmSync(pathOf(bootImage))],
    ["cut short on the way", /cannot be decompressed/, () => truncateSync(pathOf(bootImage), 100_000)],
    [
      "cut short when it was made",
      /truncated/,
      () => replaceAsset(bootImage, gunzipSync(readFileSync(pathOf(bootImage))).subarray(0, 5_000_000)),
    ],
    ["something else", /not a boot image/, () => replaceAsset(bootImage, new Uint8Array(1000))],
    [
      "made for another machine",
      /another machine/,
      () => {
        for (const image of manifest.images)
          for (const listed of image.bootImages) listed.fingerprint = "0".repeat(64);
        writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
      },
    ],
    [
      "one that traps the emulator",
      /Invalid header/,
      () => {
        const raw = new Uint8Array(gunzipSync(readFileSync(pathOf(bootImage))));
        const headerBytes = new DataView(raw.buffer).getUint32(8, true);
        raw.fill(0, 12 + headerBytes, 12 + headerBytes + 64);
        replaceAsset(bootImage, raw);
      },
    ],
  ];
  it.each(cases)(
    "because it is %s is replaced by a cold boot, and a warning says why",
    async (_what, why, spoil) => {
      spoil();
      const { local, stdout } = await createBox();
      expect(stdout).toBe("works\n");
      expect(local.boot).toBe("cold");
      expect(local.warnings).toHaveLength(1);
      expect(local.warnings[0]).toMatch(why);
      expect(local.warnings[0]).toMatch(/^booted cold, because boot-image-tiny-256 cannot be used: /);
    },
  );
});

describe("an asset that is not the one its name says", () => {
  /** A machine that boots cold loads all of these. */
  const NEEDED = ["v86.wasm", "tiny.chunks", "kernel", "agent", "bios", "vgabios", "disk-8g"];

  /** Makes every machine boot cold. */
  function withoutBootImages(): void {
    for (const image of manifest.images) image.bootImages = [];
    writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  }

  it.each(NEEDED)("is refused by name when %s is a whole file of another name", async (name) => {
    withoutBootImages();
    const other = name === "bios" ? "vgabios" : "bios";
    cpSync(pathOf(other), pathOf(name));
    const error = await failure(createBox());
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain(manifest.files[name]!.file);
  });

  it.each(NEEDED)("is refused by name when %s is cut short", async (name) => {
    withoutBootImages();
    truncateSync(pathOf(name), Math.floor(statSync(pathOf(name)).size / 2));
    const error = await failure(createBox());
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain(manifest.files[name]!.file);
  });

  it("fails the reads of a chunk that is another chunk, until the right one is there", async () => {
    const [first, last] = [TINY_CHUNKS[0]!, TINY_CHUNKS.at(-1)!].map((file) => join(folder, "chunks", file));
    const right = readFileSync(last!);
    const client = new BoxRunClient({ backend: "local", local: { assets: folder, persistent: false } });
    try {
      const box = await client.create("tiny", { memoryMb: 256 });
      cpSync(first!, last!);
      await box.exec("echo 3 > /proc/sys/vm/drop_caches");
      const read = ["/bin/cat", "/etc/passwd", "/etc/services", "/bin/busybox", "/usr/bin/qjs"];
      const failed = await box.exec(read);
      expect(failed.exitCode).not.toBe(0);
      expect(failed.stderr).toMatch(/I\/O error/);
      expect((await box.refresh()).local?.warnings.join()).toMatch(/damaged/);
      writeFileSync(last!, right);
      expect((await box.exec(read)).exitCode).toBe(0);
    } finally {
      await client.close();
    }
  });
});

describe("an asset that every box needs", () => {
  it.each(["v86.wasm", "tiny.chunks"])("fails by name when %s is missing", async (name) => {
    rmSync(pathOf(name));
    const error = await failure(createBox());
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain(manifest.files[name]!.file);
  });

  it.each(["v86.wasm", "tiny.chunks"])("fails by name when %s is damaged", async (name) => {
    const bytes = readFileSync(pathOf(name));
    bytes[50]! ^= 1;
    writeFileSync(pathOf(name), bytes);
    const error = await failure(createBox());
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain(manifest.files[name]!.file);
    expect(error.message).toMatch(/cannot be decompressed|does not match its hash/);
  });

  it.each(["v86.wasm", "tiny.chunks"])("fails by name when %s is whole, and another", async (name) => {
    const raw = new Uint8Array(gunzipSync(readFileSync(pathOf(name))));
    raw[50]! ^= 1;
    writeFileSync(pathOf(name), gzipSync(raw));
    const error = await failure(createBox());
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain(manifest.files[name]!.file);
    expect(error.message).toMatch(/does not match its hash/);
  });

  it("is asked for again by the next create", async () => {
    const path = pathOf("v86.wasm");
    const bytes = readFileSync(path);
    rmSync(path);
    const client = new BoxRunClient({ backend: "local", local: { assets: folder, persistent: false } });
    try {
      expect(await failure(client.create("tiny", { memoryMb: 256 }))).toMatchObject({
        code: "IMAGE_PULL_FAILED",
      });
      expect(await client.listBoxes()).toEqual([]);
      writeFileSync(path, bytes);
      const box = await client.create("tiny", { memoryMb: 256 });
      expect((await box.exec(["echo", "now"])).stdout).toBe("now\n");
    } finally {
      await client.close();
    }
  });

  it("fails with the place it was looked for when there are no assets at all", async () => {
    const client = new BoxRunClient({
      backend: "local",
      local: { assets: "/no/such/place", persistent: false },
    });
    const error = await failure(client.create("tiny"));
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toMatch(/manifest\.json.*\/no\/such\/place/);
  });
});
