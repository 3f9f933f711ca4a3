import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { constants, gunzipSync, gzipSync } from "node:zlib";
import { packedImage, readImage, readResult } from "../wasm/build/unpack.mjs";
import { cutImage } from "./cut-image.mjs";

/** Sizes that get a boot image: the default, and the one for pages that run several boxes. */
const BOOT_IMAGE_MEMORY_MB = [1024, 256];
/** What the disk of a new box of the default size begins with. */
const DEFAULT_DISK = "disk-8g";

/** The form of the manifest: see src/local/assets/manifest.ts. */
const MANIFEST_VERSION = 4;
/** Images that are part of the package boxrun. All others have packages of their own, whose names the manifest has. */
const IN_PACKAGE = ["tiny"];
const hashOf = (bytes) => createHash("sha256").update(bytes).digest("hex");

/**
 * Writes the assets into dist/assets: each file as gzip under a name that contains the hash of its contents, and manifest.json,
 * which lists them. The names end in .bin, because some servers undo what ends in .gz. Contents that come packed are checked
 * against their record first, and each gzip file is inflated again: what is listed is what was made.
 * @param {string} root the project's folder, ending in "/"
 * @param {(step: string) => void} [tell] called before each step that takes some seconds
 */
export async function buildAssets(root, tell = () => {}) {
  const out = `${root}dist/assets/`;
  const prebuilt = process.env.BOXRUN_PREBUILT ?? `${root}wasm/prebuilt/`;
  await mkdir(out, { recursive: true });

  const key = await inputsKey(root, prebuilt);
  const keyFile = `${root}dist/assets.key`;
  if ((await readFile(keyFile, "utf8").catch(() => "")) === key) return addWorker(root);
  await rm(keyFile, { force: true });

  const { version } = JSON.parse(await readFile(`${root}package.json`, "utf8"));
  const files = {};
  const add = async (name, raw) => {
    const compressed = gzipSync(raw, { level: constants.Z_BEST_COMPRESSION });
    const rawSha256 = hashOf(raw);
    if (hashOf(gunzipSync(compressed)) !== rawSha256) throw new Error(`zlib damaged ${name}`);
    const file = `${name}.${rawSha256.slice(0, 12)}.bin`;
    files[name] = { file, bytes: compressed.byteLength, rawBytes: raw.byteLength, rawSha256 };
    await writeFile(out + file, compressed);
  };
  const writeManifest = () =>
    writeFile(
      `${out}manifest.json`,
      `${JSON.stringify({ version: MANIFEST_VERSION, boxrun: version, files, images }, null, 1)}\n`,
    );

  await add("v86.wasm", await readFile(`${root}node_modules/v86/build/v86.wasm`));
  for (const name of ["kernel", "agent", "bios", "vgabios", "disk-8g", "disk-1g"]) {
    await add(name, readResult(name, prebuilt));
  }
  const images = [];
  /** Chunks, and whether only images with packages of their own have them. */
  const kept = new Map();
  for (const image of await readImages(root)) {
    const { name, aliases, standsFor = [], description, warmUp } = image;
    tell(`the image ${name}`);
    const { list, downloadBytes, chunks } = await cutOnce(name, prebuilt, root);
    const isApart = !IN_PACKAGE.includes(name);
    for (const file of chunks) kept.set(file, isApart && kept.get(file) !== false);
    const base = `${name}.chunks`;
    await add(base, list);
    const { rawSize, rawSha256 } = packedImage(name, prebuilt).record;
    const contents = { baseBytes: rawSize, baseSha256: rawSha256, baseDownloadBytes: downloadBytes };
    const names = { name, aliases, standsFor, description };
    const apart = isApart ? { package: `@boxrun/image-${name}` } : {};
    images.push({ ...names, ...apart, base, ...contents, bootImages: [], warmUp });
  }
  await writeManifest();

  const { makeBootImages } = await import(pathToFileURL(`${root}dist/node/make-boot-image.js`).href);
  for (const image of images) {
    const { warmUp } = image;
    delete image.warmUp;
    for (const memoryMb of BOOT_IMAGE_MEMORY_MB) {
      tell(`the boot image of ${image.name} with ${memoryMb} MB`);
      const assets = pathToFileURL(out).href;
      const options = { assets, image: image.name, memoryMb, disk: DEFAULT_DISK, warmUp: warmUp ?? [] };
      const bytes = await makeBootImages(options);
      const name = `boot-image-${image.name}-${memoryMb}`;
      await add(name, bytes);
      const [forNew, forAny] = readFingerprints(bytes);
      image.bootImages.push({ name, memoryMb, disk: DEFAULT_DISK, fingerprint: forNew });
      image.bootImages.push({ name, memoryMb, disk: null, fingerprint: forAny });
    }
  }
  await writeManifest();
  await writeFile(`${out}${IGNORED}`, ignored(images, files, kept));
  const wanted = new Set([
    "manifest.json",
    "chunks",
    IGNORED,
    ...Object.values(files).map(({ file }) => file),
  ]);
  await removeOthers(out, wanted);
  await removeOthers(`${out}chunks/`, kept);
  await writeFile(keyFile, key);
  await addWorker(root);
}

/**
 * Puts the Worker's script for pages among the assets, as it is, and what the package's version is into the manifest. Boot images do not depend on either, so
 * this is done each time.
 */
async function addWorker(root) {
  const out = `${root}dist/assets/`;
  const script = await readFile(`${root}dist/worker/machine-worker.js`);
  const rawSha256 = hashOf(script);
  const worker = { file: `machine-worker.${rawSha256.slice(0, 12)}.js`, bytes: script.byteLength, rawSha256 };
  const { version: boxrun } = JSON.parse(await readFile(`${root}package.json`, "utf8"));
  const { version, files, images } = JSON.parse(await readFile(`${out}manifest.json`, "utf8"));
  await writeFile(out + worker.file, script);
  const manifest = { version, boxrun, worker, files, images };
  await writeFile(`${out}manifest.json`, `${JSON.stringify(manifest, null, 1)}\n`);
  for (const name of await readdir(out))
    if (name.startsWith("machine-worker.") && name !== worker.file) await rm(out + name);
}

/** File by which npm knows what of the assets is not in the package boxrun. */
const IGNORED = ".npmignore";

function ignored(images, files, chunks) {
  const apart = images.filter((image) => image.package !== undefined);
  const names = apart.flatMap(({ base, bootImages }) => [base, ...bootImages.map(({ name }) => name)]);
  const own = [...new Set(names)].map((name) => `/${files[name].file}`);
  const ownChunks = [...chunks].flatMap(([file, isApart]) => (isApart ? [`/chunks/${file}`] : []));
  return `${[...own, ...ownChunks].sort().join("\n")}\n`;
}

/**
 * Cuts an image, unless its chunks are there from the last time: a large one takes as long as all the rest. They are those of the image's own bytes, whatever
 * unpacks them.
 */
async function cutOnce(name, prebuilt, root) {
  const recordFile = `${root}dist/cut-${name}.json`;
  const { rawSha256 } = packedImage(name, prebuilt).record;
  const key = hashOf(rawSha256 + (await readFile(`${root}scripts/cut-image.mjs`, "utf8")));
  const record = JSON.parse(await readFile(recordFile, "utf8").catch(() => "{}"));
  const here = new Set(await readdir(`${root}dist/assets/chunks`).catch(() => []));
  if (record.key === key && record.chunks.every((file) => here.has(file))) {
    return { ...record, list: Buffer.from(record.list, "base64") };
  }
  const cut = await cutImage(readImage(name, prebuilt), `${root}dist/assets/`);
  const list = Buffer.from(cut.list).toString("base64");
  await writeFile(recordFile, JSON.stringify({ ...cut, list, key }));
  return cut;
}

/** Everything the assets depend on, as one hash. */
async function inputsKey(root, prebuilt) {
  const hash = createHash("sha256");
  const add = async (path) => hash.update(path).update(await readFile(path));
  await add(`${root}package-lock.json`);
  for (const name of (await readdir(prebuilt)).sort()) await add(prebuilt + name);
  const images = await readImages(root);
  for (const { name } of images) hash.update(packedImage(name, prebuilt).record.rawSha256);
  for (const name of ["machine-worker.js", "make-boot-image.js"]) await add(`${root}dist/node/${name}`);
  for (const name of ["build.mjs", "assets.mjs", "cut-image.mjs"]) await add(`${root}scripts/${name}`);
  hash.update(JSON.stringify(images));
  return hash.digest("hex");
}

async function readImages(root) {
  const folder = `${root}wasm/images/`;
  const images = [];
  for (const name of (await readdir(folder)).sort()) {
    const text = await readFile(`${folder}${name}/image.json`, "utf8").catch(() => undefined);
    if (text !== undefined) images.push(JSON.parse(text));
  }
  return images;
}

/** From the header of a boot image: see src/local/machine/boot-image.ts. */
function readFingerprints(bytes) {
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
  const { machines } = JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + headerBytes)));
  return machines.map(({ fingerprint }) => fingerprint);
}

async function removeOthers(folder, wanted) {
  for (const name of await readdir(folder)) if (!wanted.has(name)) await rm(folder + name);
}
