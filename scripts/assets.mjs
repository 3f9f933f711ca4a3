import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { brotliDecompressSync, constants, gzipSync } from "node:zlib";
import { imageFile, readImage } from "../wasm/build/unpack.mjs";
import { cutImage } from "./cut-image.mjs";

/** Sizes that get a snapshot: the default, and the one for pages that run several boxes. */
const SNAPSHOT_MEMORY_MB = [1024, 256];
/** What the disk of a new box of the default size begins with. */
const DEFAULT_DISK = "disk-8g";

/** Hosts may keep what is larger than this inflated, too. */
const SLOW_TO_INFLATE_BYTES = 4 * 2 ** 20;
const hashOf = (bytes) => createHash("sha256").update(bytes).digest("hex");

/**
 * Writes the assets into dist/assets: each file as gzip under a name that contains its hash, and manifest.json,
 * which lists them. The names end in .bin, because some servers undo what ends in .gz.
 * @param {string} root the project's folder, ending in "/"
 */
export async function buildAssets(root) {
  const out = `${root}dist/assets/`;
  const prebuilt = process.env.BOXRUN_PREBUILT ?? `${root}wasm/prebuilt/`;
  await mkdir(out, { recursive: true });

  const key = await inputsKey(root, prebuilt);
  const keyFile = `${root}dist/assets.key`;
  if ((await readFile(keyFile, "utf8").catch(() => "")) === key) return;
  await rm(keyFile, { force: true });

  const files = {};
  const add = async (name, raw) => {
    const compressed = gzipSync(raw, { level: constants.Z_BEST_COMPRESSION });
    const sha256 = hashOf(compressed);
    const file = `${name}.${sha256.slice(0, 12)}.bin`;
    files[name] = { file, sha256, bytes: compressed.byteLength, rawBytes: raw.byteLength };
    if (raw.byteLength >= SLOW_TO_INFLATE_BYTES) files[name].rawSha256 = hashOf(raw);
    await writeFile(out + file, compressed);
  };
  const writeManifest = () =>
    writeFile(`${out}manifest.json`, `${JSON.stringify({ version: 2, files, images }, null, 1)}\n`);

  await add("v86.wasm", await readFile(`${root}node_modules/v86/build/v86.wasm`));
  for (const name of ["kernel", "agent", "bios", "vgabios", "disk-8g", "disk-1g"]) {
    await add(name, brotliDecompressSync(await readFile(`${prebuilt}${name}.br`)));
  }
  const images = [];
  const kept = new Set();
  for (const image of await readImages(root)) {
    const { name, aliases, standsFor = [], description, warmUp } = image;
    const { list, downloadBytes, chunks, rawBytes } = await cutOnce(name, prebuilt, root);
    for (const file of chunks) kept.add(file);
    const base = `${name}.chunks`;
    await add(base, list);
    const size = { baseBytes: rawBytes, baseDownloadBytes: downloadBytes };
    images.push({ name, aliases, standsFor, description, base, ...size, snapshots: [], warmUp });
  }
  await writeManifest();

  const { makeSnapshots } = await import(pathToFileURL(`${root}dist/node/make-snapshot.js`).href);
  for (const image of images) {
    const { warmUp } = image;
    delete image.warmUp;
    for (const memoryMb of SNAPSHOT_MEMORY_MB) {
      const assets = pathToFileURL(out).href;
      const options = { assets, image: image.name, memoryMb, disk: DEFAULT_DISK, warmUp: warmUp ?? [] };
      for (const [kind, bytes] of Object.entries(await makeSnapshots(options))) {
        const name = `snapshot-${image.name}-${memoryMb}-${kind}`;
        const disk = kind === "new" ? DEFAULT_DISK : null;
        await add(name, bytes);
        image.snapshots.push({ name, memoryMb, disk, fingerprint: readFingerprint(bytes) });
      }
    }
  }
  await writeManifest();
  const wanted = new Set(["manifest.json", "chunks", ...Object.values(files).map(({ file }) => file)]);
  await removeOthers(out, wanted);
  await removeOthers(`${out}chunks/`, kept);
  await writeFile(keyFile, key);
}

/** Cuts an image, unless its chunks are there from the last time: a large one takes as long as all the rest. */
async function cutOnce(name, prebuilt, root) {
  const recordFile = `${root}dist/cut-${name}.json`;
  const hash = createHash("sha256").update(await readFile(imageFile(name, prebuilt)));
  const key = hash.update(await readFile(`${root}scripts/cut-image.mjs`)).digest("hex");
  const record = JSON.parse(await readFile(recordFile, "utf8").catch(() => "{}"));
  const here = new Set(await readdir(`${root}dist/assets/chunks`).catch(() => []));
  if (record.key === key && record.chunks.every((file) => here.has(file))) {
    return { ...record, list: Buffer.from(record.list, "base64") };
  }
  const raw = readImage(name, prebuilt);
  const cut = { ...(await cutImage(raw, `${root}dist/assets/`)), rawBytes: raw.byteLength };
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
  for (const { name } of images) await add(imageFile(name, prebuilt));
  for (const name of ["machine-worker.js", "make-snapshot.js"]) await add(`${root}dist/node/${name}`);
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

/** From the header of a snapshot: see src/local/machine/snapshot.ts. */
function readFingerprint(bytes) {
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
  return JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + headerBytes))).fingerprint;
}

async function removeOthers(folder, wanted) {
  for (const name of await readdir(folder)) if (!wanted.has(name)) await rm(folder + name);
}
