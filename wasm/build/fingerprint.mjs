/**
 * Says whether wasm/prebuilt/ is what the files beside it would give, without building: `checkPrebuilt()`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { readLock } from "./lock.mjs";
import { sha256, unpack } from "./packed.mjs";
import { PREBUILT, RESULTS, WASM } from "./results.mjs";

/**
 * What results.json says of one result, beside what is in its file.
 * @typedef {object} ResultOrigin
 * @property {string} file its name in wasm/prebuilt/
 * @property {string} inputs the fingerprint of all it was built from
 * @property {string} licence SPDX
 * @property {string[]} sources "package version", of the code that is in it
 *
 * @typedef {import("./packed.mjs").PackedRecord & ResultOrigin} ResultRecord
 *
 * @typedef {object} Records
 * @property {Record<string, string>} tools versions of the programs that built; told, not required
 * @property {Record<string, ResultRecord>} results
 */

export const RECORDS_FILE = `${PREBUILT}results.json`;

/** @returns {Records} */
export function readRecords() {
  return existsSync(RECORDS_FILE)
    ? JSON.parse(readFileSync(RECORDS_FILE, "utf8"))
    : { tools: {}, results: {} };
}

/**
 * A hash over everything that decides the bytes of a result: its files in the repository, its locked inputs, its entry in the table.
 * @param {string} name a key of RESULTS
 * @returns {string}
 */
export function fingerprintInputs(name) {
  const result = RESULTS[name];
  const { sourceDateEpoch, inputs } = readLock();
  const lines = [`epoch ${sourceDateEpoch}`, `argument ${result.argument ?? ""}`];
  for (const key of [...result.lock].sort()) {
    for (const file of inputs[key].files)
      lines.push(`input ${key} ${inputs[key].version} ${file.name} ${file.sha256}`);
  }
  const paths = result.files.flatMap((path) => (path.endsWith("/") ? listFiles(path) : [path]));
  for (const path of paths.sort()) {
    const isExcepted = result.except?.some((one) =>
      one.endsWith("/") ? path.startsWith(one) : path === one,
    );
    if (!isExcepted) lines.push(`file ${path} ${sha256(readFileSync(WASM + path))}`);
  }
  return sha256(lines.join("\n"));
}

/**
 * Compares wasm/prebuilt/ with the working tree.
 * @returns {{ ok: string[], stale: string[], damaged: string[] }} names of results. Stale: its inputs have changed since it was built, or it was
 *   never built. Damaged: its file is missing or not the one recorded, or a file lies there that no result owns
 */
export function checkPrebuilt() {
  const { results } = readRecords();
  /** @type {{ ok: string[], stale: string[], damaged: string[] }} */
  const report = { ok: [], stale: [], damaged: [] };
  for (const name of Object.keys(RESULTS)) {
    const record = results[name];
    if (record?.inputs !== fingerprintInputs(name)) report.stale.push(name);
    else if (isDamaged(record)) report.damaged.push(name);
    else report.ok.push(name);
  }
  const owned = new Set(["results.json", ...Object.keys(RESULTS).map((name) => `${name}.br`)]);
  report.damaged.push(...readdirSync(PREBUILT).filter((file) => !owned.has(file)));
  return report;
}

/** @param {ResultRecord} record */
function isDamaged(record) {
  const path = PREBUILT + record.file;
  if (!existsSync(path)) return true;
  const packed = readFileSync(path);
  if (packed.length !== record.size || sha256(packed) !== record.sha256) return true;
  try {
    unpack(path, record);
    return false;
  } catch {
    return true;
  }
}

/**
 * @param {string} folder below wasm/, ending in "/"
 * @returns {string[]} the paths of the files in it, at any depth, below wasm/
 */
function listFiles(folder) {
  return readdirSync(WASM + folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? listFiles(`${folder}${entry.name}/`) : [folder + entry.name],
  );
}
