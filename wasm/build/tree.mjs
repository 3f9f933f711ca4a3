/**
 * A Debian tree of the image's release and architecture, to build programs of that image in: unpacked from locked packages, and never configured.
 */
import { mkdirSync, symlinkSync } from "node:fs";
import { basename } from "node:path";
import { fetchPackages, readTreePackages } from "../images/debian/packages.mjs";
import { once } from "./once.mjs";
import { WASM } from "./results.mjs";
import { run } from "./run.mjs";

/**
 * @param {string} work a folder that is ours, ending in "/"
 * @returns {string} the tree
 */
export function buildTree(work) {
  const packages = readTreePackages();
  const from = packages.map(({ sha256 }) => sha256).join(" ");
  return once(`${work}tree`, from, (tree) => {
    const files = fetchPackages(`${work}downloads/`, packages);
    // base-files has the links of a merged /usr, which all others go through.
    files.sort((a, b) => Number(isBase(b)) - Number(isBase(a)));
    for (const file of files) run("bash", ["-o", "pipefail", "-c", UNPACK, file, tree]);
    // What the scripts of its packages would have made.
    symlinkSync("mawk", `${tree}/usr/bin/awk`);
    mkdirSync(`${tree}/build`);
  });
}

const UNPACK = 'dpkg-deb --fsys-tarfile "$0" | tar -xC "$1" --keep-directory-symlink';

const isBase = (/** @type {string} */ file) => basename(file).startsWith("base-files_");

/**
 * Runs a script in the tree: see in-tree.sh. The tree's /build is a folder outside it.
 * @param {string} tree
 * @param {string} folder what is /build there
 * @param {string[]} command
 * @param {Record<string, string>} env
 */
export function runInTree(tree, folder, command, env) {
  mkdirSync(folder, { recursive: true });
  const variables = Object.entries({ HOME: "/build", ...env }).map(([name, value]) => `${name}=${value}`);
  run(`${WASM}build/in-tree.sh`, ["--build", folder, tree, ...variables, ...command]);
}
