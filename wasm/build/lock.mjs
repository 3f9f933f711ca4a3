import { readFileSync, writeFileSync } from "node:fs";
import { WASM } from "./results.mjs";

/**
 * One locked input. Keys of the lock say what it is: `deb:NAME` a binary package, `src:NAME` a source package.
 * @typedef {object} LockEntry
 * @property {string} [architecture] of a binary package
 * @property {string} [suite] of Debian, where it is not the one of the machine that builds
 * @property {string} version Debian's
 * @property {{ name: string, sha256: string }[]} files
 *
 * @typedef {object} Lock
 * @property {number} sourceDateEpoch the one time stamp of everything built, in seconds
 * @property {Record<string, LockEntry>} inputs
 */

const PATH = `${WASM}inputs.lock.json`;

/** @returns {Lock} */
export function readLock() {
  return JSON.parse(readFileSync(PATH, "utf8"));
}

/**
 * @param {Lock} lock
 * @returns {string[]} the suites that its entries name
 */
export function suitesOf({ inputs }) {
  return [...new Set(Object.values(inputs).flatMap(({ suite }) => suite ?? []))];
}

/** @param {Lock} lock */
export function writeLock(lock) {
  writeFileSync(PATH, `${JSON.stringify(lock, null, 2)}\n`);
}
