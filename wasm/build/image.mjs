/**
 * Builds the guest side of local boxes into wasm/prebuilt/: see wasm/README.md.
 *
 *     node wasm/build/image.mjs [--update] [kernel|agent|tiny|disk|bios|debian ...]
 *     node wasm/build/image.mjs --profile
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { buildDebian, BUILD_PACKAGES as DEBIAN_PACKAGES } from "../images/debian/build.mjs";
import { recordProfile } from "../images/debian/own.mjs";
import { Apt, installBuildPackages } from "./apt.mjs";
import { checkPrebuilt, fingerprintInputs, RECORDS_FILE, readRecords } from "./fingerprint.mjs";
import { readLock, suitesOf, writeLock } from "./lock.mjs";
import { packOnce, recordOf } from "./packed.mjs";
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
  const wanted = args.filter((arg) => !["--update", "--profile"].includes(arg));
  const groups = [...Object.keys(STEPS), "debian"];
  const unknown = wanted.filter((group) => !groups.includes(group));
  if (unknown.length > 0)
    throw new Error(`no such part: ${unknown.join(", ")}; there are ${groups.join(", ")}`);
  if (args.includes("--profile") && args.length > 1)
    throw new Error("--profile records, and builds nothing: give it alone");
  // mke2fs and mkfs.erofs, which are not on everybody's PATH
  process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
  process.umask(0o022);

  installBuildPackages(DEBIAN_PACKAGES);
  mkdirSync(WORK, { recursive: true });
  const lock = readLock();
  const apt = new Apt(WORK, suitesOf(lock));
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
  if (args.includes("--profile")) {
    recordProfile(context);
    return;
  }
  for (const [name, { group }] of Object.entries(RESULTS)) {
    if (wanted.length > 0 && !wanted.includes(group)) continue;
    console.log(`building ${name}`);
    // Before the step, so that a file changed meanwhile reads as stale
    const inputs = fingerprintInputs(name);
    store(name, inputs, STEPS[group](name, context), lock);
  }

  if (wanted.length === 0 || wanted.includes("debian")) {
    console.log("building debian");
    buildDebian(context, { update });
  }

  const { ok, stale, damaged } = checkPrebuilt();
  console.log(`up to date: ${ok.join(", ")}`);
  if (stale.length > 0) console.log(`stale: ${stale.join(", ")}`);
  if (damaged.length > 0) throw new Error(`damaged: ${damaged.join(", ")}`);
}

/**
 * Writes a result and its record.
 * @param {string} name
 * @param {string} inputs
 * @param {Buffer} raw
 * @param {import("./lock.mjs").Lock} lock
 */
function store(name, inputs, raw, lock) {
  const { licence, sources } = RESULTS[name];
  const records = readRecords();
  const file = `${name}.br`;
  const packed = packOnce(PREBUILT + file, raw);
  records.tools = toolVersions();
  records.results[name] = {
    file,
    ...recordOf(packed, raw),
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
