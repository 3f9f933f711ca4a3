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
const npm = (/** @type {string} */ file) => join(folder, "node_modules", file);
/** Debian's; for the browsers among {@link PLACES}. */
const PACKAGES = ["firefox-esr", "webkit2gtk-driver", "xvfb", "xauth"];
/** Where each may be. What is from npm is an optional dependency of package.json here: where one is not to be had, the others are. */
const PLACES = {
  "Node 22": [npm("node-22/bin/node")],
  "Node 24": [npm("node-24/bin/node")],
  Deno: [npm("@deno/linux-x64-glibc/deno"), npm(".bin/deno")],
  Bun: [npm("@oven/bun-linux-x64/bin/bun"), npm(".bin/bun")],
  workerd: [npm("miniflare/dist/src/index.js")],
  Wrangler: [npm("wrangler/bin/wrangler.js")],
  "wisp-js": [npm("@mercuryworkshop/wisp-js/package.json")],
  Chromium: [
    process.env["BOXRUN_CHROMIUM"] ?? "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
  ],
  Firefox: ["/usr/bin/firefox-esr", "/usr/bin/firefox"],
  WebKit: ["x86_64", "aarch64"].map((cpu) => `/usr/lib/${cpu}-linux-gnu/webkit2gtk-4.1/MiniBrowser`),
};

/** The one that runs the tests. */
export const node = { name: `Node ${process.versions.node.split(".")[0]}`, path: process.execPath };
export const node22 = find("Node 22");
export const node24 = find("Node 24");
export const deno = find("Deno");
export const bun = find("Bun");
export const workerd = find("workerd");
export const wrangler = find("Wrangler");
export const wispJs = find("wisp-js");
export const chromium = find("Chromium");
export const firefox = find("Firefox");
export const webkit = find("WebKit");

/**
 * @param {keyof typeof PLACES} name
 * @returns {Runtime}
 */
function find(name) {
  const path = PLACES[name].find((place) => existsSync(place));
  if (process.platform === "win32")
    return {
      name,
      path: "",
      missing: `${name} is not run on Windows: its processes are ended by their group`,
    };
  if (path !== undefined) return { name, path };
  const missing = `there is no ${name} here; node test/runtimes/runtimes.mjs installs what can be had`;
  return { name, path: "", missing };
}

/** Returns what {@link installRuntimes} would put on this machine, in words. */
export function toInstall() {
  if (process.platform === "win32") return [];
  const { optionalDependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const runtimes = Object.entries(optionalDependencies).map(([name, version]) => `${name} ${version}`);
  const wanted = isInstalled() ? [] : [`from npm, into ${folder}node_modules: ${runtimes.join(", ")}`];
  if (needsPackages()) wanted.push(`from apt-get: ${PACKAGES.join(", ")}`);
  return wanted;
}

function needsPackages() {
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return false;
  const needed = [find("Firefox"), find("WebKit")];
  return needed.some(({ missing }) => missing) || !existsSync("/usr/bin/xvfb-run");
}

/**
 * Installs what is not there. What cannot be had on this kind of machine is left out, and its tests say so, each by name; ends the process when something is missing where all of
 * them can be had: on Linux on x64, as root.
 */
export function installRuntimes() {
  if (process.platform === "win32") return;
  if (!isInstalled()) {
    console.log("Installing the runtimes that the package is tested in.");
    run("npm", ["ci", "--no-audit", "--no-fund", "--prefix", folder]);
  }
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return;
  if (needsPackages()) {
    run("apt-get", ["update", "-qq"]);
    run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES]);
  }
  if (process.platform !== "linux" || process.arch !== "x64") return;
  const names = /** @type {(keyof typeof PLACES)[]} */ (Object.keys(PLACES)).filter(
    (name) => name !== "Chromium",
  );
  const missing = names.filter((name) => find(name).missing);
  if (missing.length === 0) return;
  console.error(`Could not be installed: ${missing.join(", ")}.`);
  process.exit(1);
}

/** True when what npm has put there is what the lock file says, and none is missing that is for this machine. */
function isInstalled() {
  const read = (/** @type {string} */ path) => JSON.parse(readFileSync(join(folder, path), "utf8")).packages;
  try {
    const { "": ours, ...locked } = read("package-lock.json");
    const installed = read("node_modules/.package-lock.json");
    const isThere = (/** @type {string} */ name) => {
      const path = `node_modules/${name}`;
      return path in installed || locked[path].os !== undefined;
    };
    return (
      Object.entries(installed).every(([path, { version }]) => locked[path]?.version === version) &&
      Object.keys({ ...ours.dependencies, ...ours.optionalDependencies }).every(isThere)
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
