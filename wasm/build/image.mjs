/**
 * Builds the guest side of local boxes into wasm/prebuilt/: see wasm/README.md.
 *
 *     node wasm/build/image.mjs [--update] [kernel|agent|tiny|disk|bios|debian ...]
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { buildDebian, BUILD_PACKAGES as DEBIAN_PACKAGES } from "../images/debian/build.mjs";
import { Apt, installBuildPackages } from "./apt.mjs";
import { checkPrebuilt, fingerprintInputs, RECORDS_FILE, readRecords, sha256 } from "./fingerprint.mjs";
import { readLock, writeLock } from "./lock.mjs";
import { PREBUILT, RESULTS, WASM } from "./results.mjs";
import { STEPS, toolVersions } from "./steps.mjs";

/** Everything the build makes on the way; may be deleted at any time. BOXRUN_IMAGE_WORK names another place. */
const WORK = process.env.BOXRUN_IMAGE_WORK ?? `${WASM}../.cache/image/`;

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(`image: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

/** @param {string[]} args */
function main(args) {
  const wanted = args.filter((arg) => arg !== "--update");
  const groups = [...Object.keys(STEPS), "debian"];
  const unknown = wanted.filter((group) => !groups.includes(group));
  if (unknown.length > 0)
    throw new Error(`no such part: ${unknown.join(", ")}; there are ${groups.join(", ")}`);
  // mke2fs and mkfs.erofs, which are not on everybody's PATH
  process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
  process.umask(0o022);

  installBuildPackages(DEBIAN_PACKAGES);
  mkdirSync(WORK, { recursive: true });
  const apt = new Apt(WORK);
  const lock = readLock();
  const update = args.includes("--update");
  const alone = wanted.length === 1 && wanted[0] === "debian";
  if (update && !alone) {
    for (const key of Object.keys(lock.inputs)) lock.inputs[key] = apt.newest(key, lock.inputs[key]);
    writeLock(lock);
  }

  const context = {
    work: WORK,
    lock,
    fetch: (/** @type {string} */ key) => apt.fetch(key, lock.inputs[key]),
  };
  for (const [name, { group }] of Object.entries(RESULTS)) {
    if (wanted.length > 0 && !wanted.includes(group)) continue;
    console.log(`building ${name}`);
    // Before the step, so that a file changed meanwhile reads as stale
    const inputs = fingerprintInputs(name);
    store(name, inputs, STEPS[group](name, context), lock);
  }

  if (wanted.length === 0 || wanted.includes("debian")) {
    console.log("building debian");
    buildDebian(WORK, { update });
  }

  const { ok, stale, damaged } = checkPrebuilt();
  console.log(`up to date: ${ok.join(", ")}`);
  if (stale.length > 0) console.log(`stale: ${stale.join(", ")}`);
  if (damaged.length > 0) throw new Error(`damaged: ${damaged.join(", ")}`);
}

/**
 * Writes a result and its record. Unchanged bytes leave the file alone: another Node's brotli would pack them differently for nothing.
 * @param {string} name
 * @param {string} inputs
 * @param {Buffer} raw
 * @param {import("./lock.mjs").Lock} lock
 */
function store(name, inputs, raw, lock) {
  const { licence, sources } = RESULTS[name];
  const records = readRecords();
  const file = `${name}.br`;
  const rawSha256 = sha256(raw);
  const packed = readPacked(file, rawSha256) ?? pack(raw);
  writeFileSync(PREBUILT + file, packed);
  records.tools = toolVersions();
  records.results[name] = {
    file,
    size: packed.length,
    sha256: sha256(packed),
    rawSize: raw.length,
    rawSha256,
    inputs,
    licence,
    sources: sources.map((key) => `${key.split(":")[1]} ${lock.inputs[key].version}`),
  };
  const sorted = Object.keys(RESULTS)
    .filter((key) => key in records.results)
    .map((key) => [key, records.results[key]]);
  writeFileSync(
    RECORDS_FILE,
    `${JSON.stringify({ tools: records.tools, results: Object.fromEntries(sorted) }, null, 2)}\n`,
  );
  console.log(`${name}: ${raw.length} bytes, ${packed.length} packed`);
}

/**
 * @param {string} file
 * @param {string} rawSha256
 * @returns {Buffer | undefined} the file as it lies there, if it holds these bytes
 */
function readPacked(file, rawSha256) {
  try {
    const packed = readFileSync(PREBUILT + file);
    return sha256(brotliDecompressSync(packed)) === rawSha256 ? packed : undefined;
  } catch {
    return undefined;
  }
}

/** @param {Buffer} raw */
function pack(raw) {
  return brotliCompressSync(raw, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: raw.length,
    },
  });
}
