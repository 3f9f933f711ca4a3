/**
 * The packages of the image that we build ourselves, so that what they compute is right in the emulator.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { once } from "../../build/once.mjs";
import { sha256 } from "../../build/packed.mjs";
import { SYSROOT, WASM } from "../../build/results.mjs";
import { run } from "../../build/run.mjs";
import { qjs, sourceTree } from "../../build/steps.mjs";
import { buildTree, runInTree } from "../../build/tree.mjs";
import { fetchPackage, nameOf, readPackages, readTreePackages } from "./packages.mjs";

/**
 * @typedef {import("../../build/steps.mjs").Context} Context
 * @typedef {import("../../build/lock.mjs").Lock} Lock
 * @typedef {import("./packages.mjs").LockedPackage} LockedPackage
 */

/** Below wasm/. */
const HERE = "images/debian/";

/**
 * What is compiled together, and the packages that it goes into. In its folder are build.sh, which finds everything in /build and leaves /build/installed,
 * and, where they are needed, patches for the source, and change.sh for repack.sh.
 * @typedef {object} Build
 * @property {string} folder beside this file; the source is in a folder of that name, too
 * @property {string} [source] the locked source package
 * @property {(keyof typeof PARTS)[]} [parts] what else it finds in /build
 * @property {string[]} [packages] of Debian, that get our programs, each locked as `deb:NAME`. Without: what is installed is a package itself
 * @property {string[]} [offered] more of these, which are not installed in the image: apt finds them there
 */

/** @type {Build[]} */
const BUILDS = [
  {
    folder: "python",
    source: "src:python3.13",
    parts: ["musl"],
    packages: [
      "python3.13",
      "python3.13-minimal",
      "python3.13-venv",
      "libpython3.13-minimal",
      "libpython3.13-stdlib",
    ],
    // Debian's depend on the very version of the others.
    offered: ["libpython3.13", "libpython3.13-dev", "python3.13-dev"],
  },
  { folder: "mawk", source: "src:mawk", packages: ["mawk"] },
  { folder: "lua", source: "src:lua5.4", packages: ["lua5.4"] },
  { folder: "boxrun-libm", parts: ["musl"] },
  { folder: "boxrun-qjs", parts: ["qjs"] },
];
const OFFERED = new Set(BUILDS.flatMap(({ offered = [] }) => offered));

/**
 * @typedef {object} Part
 * @property {string[]} lock the locked inputs it is made of
 * @property {string[]} sources those whose code is in it
 * @property {string[]} files the files below wasm/ that decide its bytes
 * @property {(folder: string, context: Context) => void} put into the folder that is /build, which ends in "/"
 */

/** @satisfies {Record<string, Part>} */
const PARTS = {
  /** In musl/ and libm/. */
  musl: {
    lock: ["src:musl"],
    sources: ["src:musl"],
    files: filesIn("libm"),
    put(folder, context) {
      sourceTree("src:musl", "musl", "libm", { ...context, work: folder });
      cpSync(`${WASM}libm`, `${folder}libm`, { recursive: true });
    },
  },
  /** In qjs/: the program, and NAME.copyright of what is in it. */
  qjs: {
    lock: ["deb:qjs-src", "src:quickjs", ...SYSROOT.lock],
    sources: ["deb:qjs-src", "src:quickjs", "src:musl"],
    files: ["qjs/build.sh", ...SYSROOT.files],
    put(folder, context) {
      const to = `${folder}qjs/`;
      mkdirSync(to);
      copyFileSync(qjs(context), `${to}qjs`);
      const [deb] = context.fetch("deb:qjs-src");
      run("dpkg-deb", ["-x", deb, `${folder}qjs-src`]);
      copyFileSync(`${folder}qjs-src/usr/share/doc/qjs-src/copyright`, `${to}quickjs-ng.copyright`);
      for (const [name, file] of [
        ["quickjs", "LICENSE"],
        ["musl", "COPYRIGHT"],
      ]) {
        const tree = sourceTree(`src:${name}`, `${name}-source`, undefined, { ...context, work: folder });
        copyFileSync(`${tree}/${file}`, `${to}${name}.copyright`);
      }
    },
  },
};

/** What decides bytes beside the files of a build. */
const IN_TREE = "build/in-tree.sh";
const COMPILING = ["build/arithmetic.sh", `${HERE}buildflags.sh`, `${HERE}quietly.sh`];
const PACKING = [
  "build/arithmetic.sh",
  "build/check-x87.sh",
  ...["elf-files.sh", "pack.sh", "repack.sh"].map((name) => HERE + name),
];
/** Of the versions of our packages: tells them from Debian's, and is newer than each of the same version. */
const SUFFIX = "+sse2boxrun1";
/** Of Python, beside its build.sh. */
const PROFILE = "profile.tar.xz";

/**
 * Builds those whose inputs have changed.
 * @param {Context} context
 * @returns {{ installed: string[], offered: string[] }} the paths of the packages that are in the image, and of those that apt finds there
 */
export function buildOwnPackages(context) {
  const paths = BUILDS.flatMap((build) => {
    const installed = `${compile(build, context)}/installed`;
    const out = `${context.work}own/${build.folder}-packages`;
    once(out, packingInputs(build, context.lock), () => pack(build, installed, out, context));
    return readdirSync(out).map((name) => `${out}/${name}`);
  });
  const isOffered = (/** @type {string} */ path) => OFFERED.has(nameOf(path));
  return { installed: paths.filter((path) => !isOffered(path)), offered: paths.filter(isOffered) };
}

/**
 * Compiles Python anew so that it counts what it does, and writes what it counted beside its build.sh: an input of all later builds.
 * @param {Context} context
 */
export function recordProfile(context) {
  const build = BUILDS.find(({ folder }) => folder === "python");
  if (!build) throw new Error("Python is not among the builds");
  const made = `${context.work}own/${build.folder}-profile`;
  rmSync(made, { recursive: true, force: true });
  mkdirSync(made, { recursive: true });
  prepare(build, made, context);
  runInTree(buildTree(context.work), made, ["/build/build.sh", "--record"], epochOf(context.lock));
  copyFileSync(`${made}/${PROFILE}`, `${WASM}${HERE}${build.folder}/${PROFILE}`);
}

/**
 * @param {Lock} lock
 * @returns {string} a hash over everything that decides the bytes of the packages, and which of them are only offered: the image holds those as files
 */
export function fingerprintOwn(lock) {
  const inputs = BUILDS.map((build) => packingInputs(build, lock));
  return sha256([...inputs, `offered ${[...OFFERED].join(" ")}`].join("\n"));
}

/** @returns {string[]} the locked inputs whose code is in the packages: what their licences are about */
export function ownSources() {
  const keys = BUILDS.flatMap(({ source, parts = [] }) => [
    source ?? [],
    parts.map((name) => PARTS[name].sources),
  ]);
  return [...new Set(keys.flat(2))];
}

/**
 * @param {Build} build
 * @param {Context} context
 * @returns {string} the folder that was /build
 */
function compile(build, context) {
  const tree = buildTree(context.work);
  return once(`${context.work}own/${build.folder}`, compilingInputs(build, context.lock), (made) => {
    prepare(build, made, context);
    runInTree(tree, made, ["/build/build.sh"], epochOf(context.lock));
  });
}

/**
 * @param {Build} build
 * @param {string} made the folder that becomes /build
 * @param {Context} context
 */
function prepare({ folder, source, parts = [] }, made, context) {
  const inside = { ...context, work: `${made}/` };
  for (const path of [...COMPILING, ...filesOf(folder)])
    copyFileSync(WASM + path, `${made}/${basename(path)}`);
  if (source) sourceTree(source, folder, HERE + folder, inside);
  for (const name of parts) PARTS[name].put(inside.work, context);
}

/**
 * @param {Build} build
 * @param {string} installed the folder that it was installed into
 * @param {string} out
 * @param {Context} context
 */
function pack({ folder, source, packages, offered = [] }, installed, out, context) {
  const env = epochOf(context.lock);
  if (!source || !packages) {
    run(`${WASM}${HERE}pack.sh`, [installed, out, SUFFIX], { env });
    return;
  }
  const change = `${WASM}${HERE}${folder}/change.sh`;
  const version = context.lock.inputs[source].version + SUFFIX;
  for (const name of [...packages, ...offered]) {
    const [template] = context.fetch(`deb:${name}`);
    const control = fetchPackage(`${context.work}downloads/`, controlOf(name));
    const args = [template, control, installed, version, out];
    run(`${WASM}${HERE}repack.sh`, existsSync(change) ? [...args, change] : args, { env });
  }
}

/**
 * @param {string} name of a package
 * @returns {LockedPackage} the one of the image's release
 */
function controlOf(name) {
  const found = [...readPackages(), ...readTreePackages()].find(({ path }) => nameOf(path) === name);
  if (!found) throw new Error(`Neither the image nor the tree has a package ${name}`);
  return found;
}

/**
 * @param {Build} build
 * @param {Lock} lock
 * @returns {string} everything that decides what it compiles to
 */
function compilingInputs({ folder, source, parts = [] }, lock) {
  const used = parts.map((name) => PARTS[name]);
  const keys = [...(source ? [source] : []), ...used.flatMap((part) => part.lock)];
  return [
    ...readTreePackages().map((locked) => locked.sha256),
    ...lockLines(keys, lock),
    ...hashLines([IN_TREE, ...COMPILING, ...filesOf(folder), ...used.flatMap(({ files }) => files)]),
  ].join("\n");
}

/**
 * @param {Build} build
 * @param {Lock} lock
 * @returns {string} everything that decides the bytes of its packages
 */
function packingInputs(build, lock) {
  const { folder, packages: installed = [], offered = [] } = build;
  const packages = [...installed, ...offered];
  const change = `${HERE}${folder}/change.sh`;
  return [
    compilingInputs(build, lock),
    `epoch ${lock.sourceDateEpoch} suffix ${SUFFIX}`,
    ...lockLines(
      packages.map((name) => `deb:${name}`),
      lock,
    ),
    ...packages.map((name) => controlOf(name).sha256),
    ...hashLines(existsSync(WASM + change) ? [...PACKING, change] : PACKING),
  ].join("\n");
}

/**
 * @param {string[]} keys
 * @param {Lock} lock
 */
function lockLines(keys, lock) {
  return keys.flatMap((key) => lock.inputs[key].files.map((file) => `${key} ${file.name} ${file.sha256}`));
}

/** @param {string[]} paths below wasm/ */
function hashLines(paths) {
  return paths.map((path) => `${path} ${sha256(readFileSync(WASM + path))}`);
}

/**
 * @param {string} folder of a build
 * @returns {string[]} its files that are in /build
 */
function filesOf(folder) {
  return filesIn(HERE + folder).filter((path) => basename(path) !== "change.sh");
}

/**
 * @param {string} folder below wasm/, without folders in it
 * @returns {string[]} the paths of its files, below wasm/
 */
function filesIn(folder) {
  return readdirSync(WASM + folder)
    .sort()
    .map((name) => `${folder}/${name}`);
}

/** @param {Lock} lock */
function epochOf(lock) {
  return { SOURCE_DATE_EPOCH: String(lock.sourceDateEpoch) };
}
