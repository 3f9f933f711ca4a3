/**
 * The results of the build, unpacked and checked against their records: for the build of the package.
 */
import { existsSync, readFileSync } from "node:fs";
import { unpack } from "./packed.mjs";
import { PREBUILT, WASM } from "./results.mjs";

/**
 * One of the small results.
 * @param {string} name a key of RESULTS
 * @param {string} [prebuilt] the folder of the small results, ending in "/"
 * @returns {Buffer}
 */
export function readResult(name, prebuilt = PREBUILT) {
  return unpack(`${prebuilt}${name}.br`, resultRecord(name, prebuilt));
}

/**
 * Where an image is kept, and what must be in it.
 * @param {string} name
 * @param {string} [prebuilt] the folder of the small results, ending in "/"
 * @returns {{ path: string, record: import("./packed.mjs").PackedRecord }}
 */
export function packedImage(name, prebuilt = PREBUILT) {
  const own = `${WASM}images/${name}/`;
  const record = `${own}record.json`;
  return existsSync(record)
    ? { path: `${own}${name}.erofs.br`, record: JSON.parse(readFileSync(record, "utf8")) }
    : { path: `${prebuilt}${name}.erofs.br`, record: resultRecord(`${name}.erofs`, prebuilt) };
}

/**
 * The disk of an image, as the guest sees it.
 * @param {string} name
 * @param {string} [prebuilt] the folder of the small results, ending in "/"
 * @returns {Buffer}
 */
export function readImage(name, prebuilt = PREBUILT) {
  const { path, record } = packedImage(name, prebuilt);
  return unpack(path, record);
}

/**
 * @param {string} name
 * @param {string} prebuilt
 * @returns {import("./packed.mjs").PackedRecord}
 */
function resultRecord(name, prebuilt) {
  const record = JSON.parse(readFileSync(`${prebuilt}results.json`, "utf8")).results[name];
  if (!record) throw new Error(`${prebuilt}results.json has no ${name}`);
  return record;
}
