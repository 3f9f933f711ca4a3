/**
 * The Debian packages of the image and of the tree that its own programs are built in: which, in which versions, with which hashes, and how to fetch them.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { readLock } from "../../build/lock.mjs";
import { sha256 } from "../../build/packed.mjs";
import { ask, capture, run } from "../../build/run.mjs";

const FOLDER = new URL(".", import.meta.url);
const LOCK = new URL("packages.lock.json", FOLDER);
/** Not of the image: see build/tree.mjs. */
const TREE_LOCK = new URL("tree.lock.json", FOLDER);
/** Compilers, the libraries that Python's modules are built against, and packages of Python whose dependencies ours get. */
const TREE_PACKAGES = (
  "gcc libc6-dev make patch pkgconf xz-utils dpkg-dev mawk python3 libreadline-dev libncurses-dev zlib1g-dev libbz2-dev liblzma-dev " +
  "libgdbm-dev libdb-dev libssl-dev libexpat1-dev libsqlite3-dev libffi-dev uuid-dev libbluetooth-dev libpython3.13-dev python3.13-dev media-types netbase tzdata"
).split(" ");
/** Not of the image: what a test makes wheels of, and what tests install in boxes of pages. */
const FIXTURE_LOCKS = ["wheels", "programs"].map(
  (name) => new URL(`../../../test/fixtures/${name}/packages.lock.json`, FOLDER),
);
/** Not of the image; locked beside Python's source, of the same version. */
const TEST_SUITE = "deb:libpython3.13-testsuite";
const SUITE = "trixie";
const LIST = "main/binary-i386/Packages.xz";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** @typedef {{ path: string, bytes: number, sha256: string }} LockedPackage a path below the mirror's root */

/** @returns {LockedPackage[]} */
export function readPackages() {
  return JSON.parse(readFileSync(LOCK, "utf8"));
}

/** @returns {LockedPackage[]} those of the tree to build in */
export function readTreePackages() {
  return JSON.parse(readFileSync(TREE_LOCK, "utf8"));
}

/** @returns {Pick<LockedPackage, "path" | "sha256">} CPython's own tests, of the version that the image has */
export function readTestSuite() {
  const [{ name, sha256 }] = readLock().inputs[TEST_SUITE].files;
  return { path: `pool/main/p/python3.13/${name}`, sha256 };
}

/** A package that could not be downloaded. */
export class NotFetched extends Error {}

/**
 * Downloads what is missing and checks all of it.
 * @param {string} folder where the packages go, ending in "/"
 * @param {LockedPackage[]} packages
 * @returns {string[]} their paths
 * @throws {NotFetched | Error} as {@link fetchPackage}
 */
export function fetchPackages(folder, packages) {
  return packages.map((locked) => fetchPackage(folder, locked));
}

/**
 * Downloads a package unless it is there, and checks it.
 * @param {string} folder where it goes, ending in "/"
 * @param {Pick<LockedPackage, "path" | "sha256">} locked
 * @returns {string} its path
 * @throws {NotFetched} when the mirror cannot be reached or no longer has it
 * @throws {Error} when the mirror has other bytes under its name
 */
export function fetchPackage(folder, { path, sha256: wanted }) {
  mkdirSync(folder, { recursive: true });
  // %3a in a name is a colon that Debian has encoded once already.
  const file = folder + path.slice(path.lastIndexOf("/") + 1);
  if (!existsSync(file) || sha256(readFileSync(file)) !== wanted) {
    rmSync(file, { force: true });
    const url = `${mirror()}${path.replaceAll("%", "%25")}`;
    try {
      run("curl", ["-sSfL", "--connect-timeout", "20", "--retry", "3", "-o", file, url]);
    } catch (error) {
      const hint = "where the mirror no longer has it, npm run image -- --update moves the lock";
      throw new NotFetched(`${url} could not be downloaded; ${hint}`, { cause: error });
    }
  }
  const found = sha256(readFileSync(file));
  if (found !== wanted) throw new Error(`${path} has the hash ${found}, the lock says ${wanted}`);
  return file;
}

/**
 * Moves the locks to the versions that the mirror has now.
 * @param {string} work a folder that is ours, ending in "/"
 */
export function updatePackages(work) {
  const { packages } = JSON.parse(readFileSync(new URL("image.json", FOLDER), "utf8"));
  const mirrored = openMirror(work);
  writeLock(LOCK, mirrored.resolve(packages));
  writeLock(TREE_LOCK, mirrored.resolve(TREE_PACKAGES));
  for (const lock of FIXTURE_LOCKS) {
    /** @type {LockedPackage[]} */
    const packages = JSON.parse(readFileSync(lock, "utf8"));
    writeLock(
      lock,
      packages.map(({ path }) => mirrored.find(nameOf(path))),
    );
  }
}

/**
 * @param {string} path of a package
 * @returns {string} its name
 */
export function nameOf(path) {
  return basename(path).replace(/_.*/, "");
}

/**
 * @param {URL} path
 * @param {LockedPackage[]} packages
 */
function writeLock(path, packages) {
  writeFileSync(path, `${JSON.stringify(packages, null, 2)}\n`);
}

/**
 * @param {string} work a folder that is ours, ending in "/"
 * @returns {{ find: (name: string) => LockedPackage, resolve: (names: string[]) => LockedPackage[] }} what the mirror has: one package, or all that is essential or
 *   named, with what it depends on
 */
function openMirror(work) {
  const state = `${work}debian-apt/`;
  rmSync(state, { recursive: true, force: true });
  const lists = `${state}repository/dists/${SUITE}/main/binary-i386/`;
  for (const folder of [lists, `${state}lists/partial`, `${state}cache/archives/partial`]) {
    mkdirSync(folder, { recursive: true });
  }
  writeFileSync(`${lists}Packages`, fetchList());
  writeFileSync(`${state}sources.list`, `deb [trusted=yes] file:${state}repository ${SUITE} main\n`);
  writeFileSync(`${state}status`, "");
  writeFileSync(
    `${state}apt.conf`,
    `Dir::State::Lists "${state}lists";
Dir::State::Status "${state}status";
Dir::Cache "${state}cache";
Dir::Etc::SourceList "${state}sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
APT::Architecture "i386";
APT::Architectures { "i386"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
`,
  );
  const apt = (/** @type {string[]} */ ...args) =>
    capture("env", [`APT_CONFIG=${state}apt.conf`, ...args]).toString();
  apt("apt-get", "update", "-qq");
  const hashes = readHashes(readFileSync(`${lists}Packages`, "utf8"));
  const resolve = (/** @type {string[]} */ names) => {
    const wanted = apt("apt-get", "install", "-qq", "--print-uris", "?essential", ...names);
    const paths = [...wanted.matchAll(/^'file:\S+?\/repository\/(pool\/[^']+)'/gm)].map(([, path]) =>
      decodeURIComponent(path),
    );
    if (paths.length === 0) throw new Error(`apt found no packages for ${names.join(" ")}`);
    return paths.sort().map(locked);
  };
  const locked = (/** @type {string | undefined} */ path) => {
    const known = path && hashes.get(path);
    if (!known) throw new Error(`the mirror's list has no ${path ?? "such package"}`);
    return { path, ...known };
  };
  const find = (/** @type {string} */ name) =>
    locked([...hashes.keys()].find((path) => nameOf(path) === name));
  return { find, resolve };
}

/**
 * @returns {string} the list of packages that Debian has signed, whichever mirror has carried it
 */
function fetchList() {
  const suite = `${mirror()}dists/${SUITE}/`;
  const signed = capture("curl", ["-sSfL", `${suite}InRelease`]);
  const release = capture("gpgv", ["-q", "--keyring", KEYRING, "--output", "-"], signed).toString();
  const wanted = new RegExp(`^ ([0-9a-f]{64}) +\\d+ ${LIST}$`, "m").exec(release)?.[1];
  if (!wanted) throw new Error(`InRelease of ${SUITE} names no ${LIST}`);
  // By its hash: a mirror updates its files one after the other.
  const packed = capture("curl", ["-sSfL", `${suite}${LIST.replace(/[^/]*$/, `by-hash/SHA256/${wanted}`)}`]);
  if (sha256(packed) !== wanted)
    throw new Error(`${LIST} of ${SUITE} has the hash ${sha256(packed)}, not ${wanted}`);
  return capture("xz", ["-dc"], packed).toString();
}

/**
 * @param {string} list a Packages file
 * @returns {Map<string, { bytes: number, sha256: string }>} by path
 */
function readHashes(list) {
  const found = new Map();
  for (const stanza of list.split("\n\n")) {
    const field = (/** @type {string} */ name) => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1];
    const path = field("Filename");
    if (path) found.set(path, { bytes: Number(field("Size")), sha256: field("SHA256") });
  }
  return found;
}

/** @returns {string} the root of the machine's own Debian mirror, ending in "/" */
function mirror() {
  const format = "$(ORIGIN)|$(REPO_URI)";
  const targets = ask("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  const uri = /^Debian\|(\S*\/debian\/?)$/m.exec(targets)?.[1] ?? "http://deb.debian.org/debian/";
  return uri.endsWith("/") ? uri : `${uri}/`;
}
