/** The runtimes that the package is tested in, and how they come onto a machine. Run as a script, it installs them. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Runtime
 * @property {string} name "Deno"
 * @property {string} path what is run, or imported
 * @property {string} [missing] why it is not there
 */

const folder = fileURLToPath(new URL(".", import.meta.url));
const PLACES = {
  chromium: [
    process.env["BOXRUN_CHROMIUM"] ?? "",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
  ],
  firefox: ["/usr/bin/firefox-esr", "/usr/bin/firefox"],
  webkit: ["x86_64", "aarch64"].map((cpu) => `/usr/lib/${cpu}-linux-gnu/webkit2gtk-4.1/MiniBrowser`),
};
const PACKAGES = ["firefox-esr", "webkit2gtk-driver", "xvfb", "xauth"];

/** From npm. Each is an optional dependency of package.json here: where one is not to be had, the others are. */
export const node22 = fromNpm("Node 22", "node-22/bin/node");
export const node24 = fromNpm("Node 24", "node-24/bin/node");
export const deno = fromNpm("Deno", ".bin/deno");
export const bun = fromNpm("Bun", ".bin/bun");
export const workerd = fromNpm("workerd", "miniflare/dist/src/index.js");
/** From the system. */
export const chromium = fromSystem("Chromium", PLACES.chromium);
export const firefox = fromSystem("Firefox", PLACES.firefox);
export const webkit = fromSystem("WebKit", PLACES.webkit);

/**
 * @param {string} name
 * @param {string} file
 * @returns {Runtime}
 */
function fromNpm(name, file) {
  const path = join(folder, "node_modules", file);
  return existsSync(path) ? { name, path } : { name, path, missing: missing(name) };
}

/**
 * @param {string} name
 * @param {string[]} paths
 * @returns {Runtime}
 */
function fromSystem(name, paths) {
  const path = paths.find((place) => existsSync(place));
  return path ? { name, path } : { name, path: "", missing: missing(name) };
}

/** @param {string} name */
function missing(name) {
  return `there is no ${name} on this machine: node test/runtimes/runtimes.mjs installs what can be had`;
}

/** Installs what is not there. What cannot be had on this kind of machine is left out: its tests say so, each by name. */
export function installRuntimes() {
  if (!isInstalled()) {
    console.log("Installing the runtimes that the package is tested in.");
    run("npm", ["ci", "--no-audit", "--no-fund", "--prefix", folder]);
  }
  const browsers = [...PLACES.firefox.slice(0, 1), ...PLACES.webkit.slice(0, 1), "/usr/bin/xvfb-run"];
  if (browsers.every((path) => existsSync(path))) return;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return;
  run("apt-get", ["update", "-qq"]);
  run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES]);
}

/** True when what npm has put there is what the lock file says. */
function isInstalled() {
  const read = (/** @type {string} */ path) => JSON.parse(readFileSync(join(folder, path), "utf8")).packages;
  try {
    const installed = read("node_modules/.package-lock.json");
    return Object.entries(installed).every(
      ([path, { version }]) => read("package-lock.json")[path]?.version === version,
    );
  } catch {
    return false;
  }
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installRuntimes();
