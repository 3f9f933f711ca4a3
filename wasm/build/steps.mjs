/**
 * How each result is made: one function per group, from checked inputs to raw bytes. The work itself is in shell scripts beside what they build.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { once } from "./once.mjs";
import { sha256 } from "./packed.mjs";
import { RESULTS, SYSROOT, WASM } from "./results.mjs";
import { ask, run } from "./run.mjs";
import { readSparse } from "./sparse.mjs";

/**
 * @typedef {object} Context
 * @property {string} work a folder that is ours, ending in "/"
 * @property {import("./lock.mjs").Lock} lock
 * @property {(key: string) => string[]} fetch the checked files of a locked input
 */

/** @type {Record<string, (name: string, context: Context) => Buffer>} by group */
export const STEPS = {
  kernel(name, context) {
    const out = context.work + name;
    script("kernel/build.sh", [linuxTree(context), `${context.work}kernel-build`, out], context);
    return readFileSync(out);
  },

  agent(name, context) {
    const out = context.work + name;
    script("agent/build.sh", [out], context, { MUSL_SYSROOT: sysroot(context) });
    return readFileSync(out);
  },

  tiny(name, context) {
    const out = context.work + name;
    // Built in place, so from a fresh tree each time
    const tree = sourceTree("src:busybox", "busybox", "images/tiny", context);
    script("images/tiny/build.sh", [tree, qjs(context), out], context, { MUSL_SYSROOT: sysroot(context) });
    return readFileSync(out);
  },

  disk(name, context) {
    const out = context.work + name;
    script("images/disk/build.sh", [RESULTS[name].argument ?? "", out], context);
    return readSparse(out);
  },

  bios(name, context) {
    const [deb] = context.fetch("deb:seabios");
    const folder = `${context.work}seabios/`;
    run("dpkg-deb", ["-x", deb, folder]);
    return readFileSync(folder + RESULTS[name].argument);
  },
};

/**
 * @param {string} path below wasm/
 * @param {string[]} args
 * @param {Context} context
 * @param {Record<string, string>} [env]
 */
function script(path, args, { lock }, env = {}) {
  run(WASM + path, args, { env: { ...env, SOURCE_DATE_EPOCH: String(lock.sourceDateEpoch) } });
}

/**
 * @param {Context} context
 * @returns {string} the unpacked kernel source, with our patches
 */
function linuxTree(context) {
  const [deb] = context.fetch("deb:linux-source-6.1");
  const patches = patchesIn("kernel");
  const key = [deb, ...patches.map((patch) => sha256(readFileSync(patch)))].join(" ");
  return once(`${context.work}linux`, key, (tree) => {
    const unpacked = `${context.work}linux-deb`;
    run("dpkg-deb", ["-x", deb, unpacked]);
    run("tar", ["-xJf", `${unpacked}/usr/src/linux-source-6.1.tar.xz`, "-C", tree, "--strip-components=1"]);
    applyPatches(patches, tree);
    rmSync(unpacked, { recursive: true });
  });
}

/**
 * @param {Context} context
 * @returns {string} musl, the kernel's headers and a compiler for them: see sysroot.sh
 */
function sysroot(context) {
  const [deb] = context.fetch("deb:musl-dev");
  const tree = linuxTree(context);
  const hashes = SYSROOT.files.map((path) => sha256(readFileSync(WASM + path)));
  const key = [deb, ...context.fetch("src:musl"), readFileSync(`${tree}.from`), ...hashes].join(" ");
  return once(`${context.work}sysroot`, key, (out) => {
    const musl = sourceTree("src:musl", "musl", "libm", context);
    script("build/sysroot.sh", [deb, musl, tree, out], context);
  });
}

/**
 * @param {Context} context
 * @returns {string} the program qjs
 */
export function qjs(context) {
  const [deb] = context.fetch("deb:qjs-src");
  const root = sysroot(context);
  const key = [
    deb,
    ...context.fetch("src:quickjs"),
    readFileSync(`${root}.from`),
    sha256(readFileSync(`${WASM}qjs/build.sh`)),
  ].join(" ");
  const folder = once(`${context.work}qjs`, key, (out) => {
    const unpacked = `${context.work}qjs-deb`;
    run("dpkg-deb", ["-x", deb, unpacked]);
    const original = sourceTree("src:quickjs", "quickjs", undefined, context);
    const args = [`${unpacked}/usr/src/quickjs-ng`, `${original}/repl.js`, `${out}/qjs`];
    script("qjs/build.sh", args, context, { MUSL_SYSROOT: root });
    rmSync(unpacked, { recursive: true });
  });
  return `${folder}/qjs`;
}

/**
 * @param {string} key
 * @param {string} name of the folder that it gets
 * @param {string | undefined} patches a folder below wasm/, with patches of ours
 * @param {Context} context
 * @returns {string} a source package, unpacked and with Debian's patches and ours
 */
export function sourceTree(key, name, patches, context) {
  const dsc = context.fetch(key).find((path) => path.endsWith(".dsc"));
  if (!dsc) throw new Error(`${key} has no .dsc`);
  const tree = context.work + name;
  rmSync(tree, { recursive: true, force: true });
  run("dpkg-source", ["--no-check", "-q", "-x", dsc, tree]);
  if (patches) applyPatches(patchesIn(patches), tree);
  return tree;
}

/**
 * @param {string} folder below wasm/
 * @returns {string[]} the paths of the patches in it, in the order in which they are applied
 */
function patchesIn(folder) {
  const names = readdirSync(WASM + folder).filter((name) => name.endsWith(".patch"));
  return names.sort().map((name) => `${WASM}${folder}/${name}`);
}

/**
 * @param {string[]} patches
 * @param {string} tree
 */
function applyPatches(patches, tree) {
  for (const patch of patches) run("patch", ["-p1", "-s", "-d", tree, "-i", patch]);
}

/** Versions of the programs whose output is in the results. A difference explains different bytes; it is no error. */
export function toolVersions() {
  const packages = ["binutils", "erofs-utils", "e2fsprogs", "lz4"];
  /** @param {string} name */
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
  const version = (name) => ask("dpkg-query", ["-W", "-f", "${Version}", name]);
  return {
    gcc: ask("gcc", ["--version"]).split("\n")[0],
    ...Object.fromEntries(packages.map((name) => [name, version(name)])),
    node: process.version,
    brotli: process.versions.brotli ?? "",
  };
}
