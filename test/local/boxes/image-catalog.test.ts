import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import type { BoxSpec } from "../../../src/backend/backend.js";
import type { AssetSource } from "../../../src/local/assets/asset-source.js";
import type { AssetManifest, ImageManifest } from "../../../src/local/assets/manifest.js";
import { ImageCatalog } from "../../../src/local/boxes/image-catalog.js";
import type { LocalOptions } from "../../../src/local/boxes/options.js";
import type { Host } from "../../../src/local/host/host.js";
import { newRecord, parseRecord } from "../../../src/local/store/record.js";
import { VERSION } from "../../../src/util/version.js";
import { SPEC } from "../fake-machine.js";

const TINY = "8932564797a6dcb5ea62d60cc4f8a3191c084317831da8143d2ff1ab65197bf4";
/** What records said of the same image at first: the SHA-256 of its packed list of chunks. */
const TINY_LIST = "4f501e23d650cbbd071604c4da5d8fbe475c1323fcced8317cfca176559d3018";
const ID = "box_aaaaaaaaaaaa";
const spec: BoxSpec = { ...SPEC, image: "tiny" };

/** An image of these contents, which differ by `text`. */
function image(name: string, fields: Partial<ImageManifest> = {}): ImageManifest {
  const base = `${name}.chunks`;
  const sizes = { baseBytes: 0, baseDownloadBytes: 0 };
  const names = { aliases: [], standsFor: [], description: `the image ${name}` };
  return { name, ...names, base, ...sizes, baseSha256: TINY, bootImages: [], ...fields };
}

/** Returns a manifest of images, and the files that it lists, but for those of the images that are missing. */
function folder(images: ImageManifest[], { missing = [] as string[], boxrun = VERSION } = {}) {
  const files: AssetManifest["files"] = {};
  const contents: Record<string, Uint8Array> = {};
  for (const { name, base } of images) {
    const raw = Buffer.from(name);
    const packed = new Uint8Array(gzipSync(raw));
    const rawSha256 = createHash("sha256").update(raw).digest("hex");
    files[base] = { file: `${base}.bin`, bytes: packed.length, rawBytes: raw.length, rawSha256 };
    if (!missing.includes(name)) contents[`${base}.bin`] = packed;
  }
  contents["manifest.json"] = Buffer.from(JSON.stringify({ version: 4, boxrun, files, images }));
  return contents;
}

const manifestOf = (files: Record<string, Uint8Array>): AssetManifest =>
  JSON.parse(Buffer.from(files["manifest.json"]!).toString());

type Folders = Record<string, ReturnType<typeof folder>>;

/** A catalogue over folders, of which "core:/" is the package's, and over installed packages. `more` is what else the host can do. */
function catalogOf(
  folders: Folders,
  options: LocalOptions = {},
  packages: Record<string, string> = {},
  more: Partial<Host> = {},
) {
  const openSource = (location: string): AssetSource => {
    const read = async (file: string) => {
      const found = folders[location]?.[file];
      if (!found) throw new Error("404");
      return found;
    };
    return {
      location,
      keeps: true,
      isHere: async () => options.cache === undefined,
      read,
      readLatest: read,
      gunzip: async (bytes) => new Uint8Array(gunzipSync(bytes)),
    };
  };
  const host = {
    assetPlaces: (given = "core:/") => ({ locations: [given], hint: "" }),
    openSource,
    findPackage: (name: string) => packages[name],
    ...more,
  } as unknown as Host;
  return new ImageCatalog(host, options);
}

const nameAndPlaces = async (catalog: ImageCatalog, asked: string) => {
  const { image: found, places, notes } = await catalog.find(asked);
  return { name: found.name, ...places, notes };
};

/** The image that a box with this in its record is started on, where images are of these contents. */
async function imageOf(made: object | null, baseSha256 = TINY): Promise<string> {
  const catalog = catalogOf({ "core:/": folder([image("tiny", { baseSha256 })]) });
  const stored: unknown = JSON.parse(JSON.stringify({ ...newRecord(ID, spec), image: made }));
  return (await catalog.imageOf(parseRecord(ID, stored))).image.name;
}

const made = { name: "tiny", description: "tiny" };

it("a box goes with the image that it was made of, however its record names the contents", async () => {
  expect(await imageOf({ ...made, baseSha256: TINY })).toBe("tiny");
  expect(await imageOf({ ...made, base: TINY_LIST })).toBe("tiny");
  expect(await imageOf({ ...made, base: null })).toBe("tiny");
  expect(await imageOf(null)).toBe("tiny");
});

const LIST = "the images are tiny; client.images() and npx boxrun images list their other names";

it.each([
  [false, "fedora", LIST],
  [false, "alpin", `did you mean "alpine"? ${LIST}`],
  [true, "alpin", LIST],
  [true, "tiny1", `did you mean "tiny:1"? ${LIST}`],
])(
  "a name that is no image is told which there are, and the closest (strict: %s, %s)",
  async (strictImages, asked, hint) => {
    const tiny = image("tiny", { aliases: ["tiny:1"], standsFor: ["alpine", "busybox"] });
    const catalog = catalogOf({ "core:/": folder([tiny]) }, { strictImages });
    await expect(catalog.find(asked)).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED", hint });
  },
);

it.each([
  ["another image", { baseSha256: TINY }, "0".repeat(64)],
  ["another image, by its list of chunks", { base: TINY_LIST }, "0".repeat(64)],
  ["a list of chunks that nobody knows", { base: "f".repeat(64) }, TINY],
])("a box made of %s is refused", async (_what, base, here) => {
  await expect(imageOf({ ...made, ...base }, here)).rejects.toMatchObject({
    code: "STATE_MISMATCH",
    message: expect.stringContaining("another build"),
  });
});

const debian = image("debian", { standsFor: ["python"], package: "@boxrun/image-debian" });
/** What the package contains: it lists an image that is not in it. */
const core = folder([image("tiny"), debian], { missing: ["debian"] });

it("an image with a package of its own is named with the command that installs it, and is not listed", async () => {
  const catalog = catalogOf({ "core:/": core });
  for (const asked of ["python", "debian"])
    await expect(catalog.find(asked)).rejects.toMatchObject({
      code: "IMAGE_PULL_FAILED",
      hint: `npm i @boxrun/image-debian@${VERSION}`,
    });
  await expect(catalog.find("fedora")).rejects.toMatchObject({
    hint: expect.stringMatching(
      /^the images are tiny, and debian could be installed \(npm i @boxrun\/image-debian@[\d.]+\);/,
    ),
  });
  await expect(catalog.pull("python", {})).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
  expect((await catalog.list()).map(({ name }) => name)).toEqual(["tiny"]);
  const strict = catalogOf({ "core:/": core }, { strictImages: true });
  await expect(strict.find("python")).rejects.toThrow(/only a stand-in/);
});

it("an image is not there where the server answers with a page for what it does not have", async () => {
  const html = Buffer.from("\n<!doctype html><title>The app</title>");
  const catalog = catalogOf({ "core:/": { ...core, "debian.chunks.bin": html } });
  await expect(catalog.find("debian")).rejects.toMatchObject({
    code: "IMAGE_PULL_FAILED",
    hint: `npm i @boxrun/image-debian@${VERSION}`,
  });
  expect((await catalog.list()).map(({ name }) => name)).toEqual(["tiny"]);
});

it("a page is told to copy an image that is not there, not to import what names a folder of the build's machine", async () => {
  const catalog = catalogOf({ "core:/": core }, {}, {}, {
    findPackage: undefined,
  } as unknown as Partial<Host>);
  await expect(catalog.find("python")).rejects.toMatchObject({
    hint: `npm i @boxrun/image-debian@${VERSION}, then npx boxrun assets public/boxrun --image "python"`,
  });
});

it("an image is found in the package's folder, else where local.images says, else as an installed package", async () => {
  const other = folder([debian]);
  const packages = { "@boxrun/image-debian": "installed:/" };
  const everywhere = { "core:/": core, "given:/": other, "installed:/assets/": other };
  const images = [{ name: "debian", assets: "given:/" }];
  const at = (imageAssets?: string) => ({
    name: "debian",
    assets: "core:/",
    ...(imageAssets && { imageAssets }),
    notes: [],
  });

  const whole = catalogOf({ ...everywhere, "core:/": folder([image("tiny"), debian]) }, { images }, packages);
  expect(await nameAndPlaces(whole, "python")).toEqual(at());
  const given = catalogOf(everywhere, { images }, packages);
  expect(await nameAndPlaces(given, "python")).toEqual(at("given:/"));
  const installed = catalogOf(everywhere, {}, packages);
  expect(await nameAndPlaces(installed, "debian")).toEqual(at("installed:/assets/"));
  for (const catalog of [whole, given, installed])
    expect((await catalog.list()).map(({ name }) => name)).toEqual(["tiny", "debian"]);
});

it("an image of a CDN is found in its own package there, of the package's manifest alone", async () => {
  const onCdn = {
    findPackage: undefined,
    assetPlaces: () => ({ locations: ["core:/"], hint: "", packageUrl: (name: string) => `cdn:/${name}/` }),
  } as unknown as Host;
  const place = "cdn:/@boxrun/image-debian/assets/";
  const { "debian.chunks.bin": list } = folder([debian]);
  const catalog = catalogOf({ "core:/": core, [place]: { "debian.chunks.bin": list! } }, {}, {}, onCdn);
  const found = { name: "debian", assets: "core:/", imageAssets: place, notes: [] };
  // Twice: what was found is remembered.
  for (const asked of ["python", "debian"]) expect(await nameAndPlaces(catalog, asked)).toEqual(found);
  expect((await catalog.list()).map(({ name }) => name)).toEqual(["tiny", "debian"]);
  const other = folder([image("other")])["other.chunks.bin"]!;
  const spoiled = catalogOf({ "core:/": core, [place]: { "debian.chunks.bin": other } }, {}, {}, onCdn);
  await expect((await spoiled.find("debian")).assets.load("debian.chunks")).rejects.toThrow(/bytes|hash/);
  const without = catalogOf({ "core:/": core }, {}, {}, onCdn);
  await expect(without.find("debian")).rejects.toMatchObject({ hint: expect.stringMatching(/^npm i /) });
  expect((await without.list()).map(({ name }) => name)).toEqual(["tiny"]);
});

it("an image that the package has never heard of is found where local.images says", async () => {
  const images = [{ name: "alpine", assets: "given:/" }];
  const catalog = catalogOf({ "core:/": core, "given:/": folder([image("alpine")]) }, { images });
  expect(await nameAndPlaces(catalog, "alpine")).toMatchObject({ name: "alpine", imageAssets: "given:/" });
  const { assets } = await catalog.find("alpine");
  expect(Buffer.from(await assets.load("alpine.chunks")).toString()).toBe("alpine");
  expect(Buffer.from(await assets.load("tiny.chunks")).toString()).toBe("tiny");
});

it("a folder that does not have the image it is given for is named", async () => {
  const images = [{ name: "debian", assets: "given:/" }];
  const catalog = catalogOf({ "core:/": core, "given:/": folder([image("alpine")]) }, { images });
  await expect(catalog.find("debian")).rejects.toThrow("manifest.json at given:/ has no image debian");
});

it.each(["v86.wasm", "kernel"])(
  "an image that brings a file of the package's own is refused: %s",
  async (taken) => {
    const shared = folder([image("tiny")]);
    const files = {
      [taken]: { file: "emulator.bin", bytes: 3, rawBytes: 3, rawSha256: TINY },
      "tiny.chunks": manifestOf(shared).files["tiny.chunks"],
    };
    const whole = {
      ...shared,
      "manifest.json": Buffer.from(JSON.stringify({ ...manifestOf(shared), files })),
    };
    const boot = { name: taken, memoryMb: 256, disk: null, fingerprint: TINY };
    for (const hostile of [image("mine", { base: taken }), image("mine", { bootImages: [boot] })]) {
      const images = [{ name: "mine", assets: "given:/" }];
      const catalog = catalogOf(
        { "core:/": whole, "given:/": folder([hostile, image(taken, { base: taken })]) },
        { images },
      );
      await expect(catalog.find("mine")).rejects.toMatchObject({
        code: "IMAGE_PULL_FAILED",
        message: expect.stringContaining(
          `manifest.json at given:/ has an image with a file ${taken}, which is the package's own`,
        ),
      });
      expect((await catalog.find("tiny")).image.name).toBe("tiny");
    }
  },
);

it("an image of another version is used, and its boxes say so", async () => {
  const images = [{ name: "debian", assets: "given:/" }];
  const older = folder([debian], { boxrun: "0.0.9" });
  const catalog = catalogOf({ "core:/": core, "given:/": older }, { images });
  const { notes } = await catalog.find("debian");
  expect(notes).toEqual([
    `the image debian is of version 0.0.9 of boxrun, and this is ${VERSION}: npm i @boxrun/image-debian@${VERSION}`,
  ]);
});

it("a package's image that is damaged is not taken for one that is missing", async () => {
  const damaged = { ...folder([image("tiny"), debian]), "debian.chunks.bin": new Uint8Array(3) };
  const { image: found } = await catalogOf({ "core:/": damaged }).find("debian");
  expect(found.name).toBe("debian");
});

it("a pull fetches the script of the Workers where they start from one, and the sizes count it", async () => {
  const script = Buffer.from("postMessage(0);");
  const sha256 = (bytes: string | Buffer) => createHash("sha256").update(bytes).digest("hex");
  const manifest = JSON.parse(Buffer.from(folder([image("tiny")])["manifest.json"]!).toString());
  manifest.files["tiny.chunks"] = { file: "none.bin", bytes: 20, rawBytes: 0, rawSha256: sha256("") };
  const core = {
    "manifest.json": Buffer.from(JSON.stringify(manifest)),
    "none.bin": new Uint8Array(gzipSync("")),
  };
  const size = script.length;
  const worker = { file: "worker.js", bytes: size, rawBytes: size, rawSha256: sha256(script), isPlain: true };
  const inPage = { workerScript: () => worker };
  const pull = (files: Folders[string], host: Partial<Host>) =>
    catalogOf({ "core:/": files }, { cache: "empty" }, {}, host).pull("tiny", {});

  await pull(core, {});
  await expect(pull(core, inPage)).rejects.toThrow("cannot read worker.js");
  await pull({ ...core, "worker.js": script }, inPage);
  const sizes = async (host: Partial<Host>) => {
    const [tiny] = await catalogOf({ "core:/": core }, {}, {}, host).list();
    return [tiny!.downloadBytes, tiny!.totalBytes];
  };
  expect(await sizes(inPage)).toEqual((await sizes({})).map((bytes) => bytes! + size));
});
