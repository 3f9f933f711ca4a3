/** Installs the bundlers that the package is tested with, as the lock file beside this says. Run as a script, it does that. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** Returns what {@link installBundlers} would install, for people. */
export function bundlersToInstall() {
  return isInstalled() ? [] : [`from npm, into ${folder}node_modules: bundlers, 0.4 GB`];
}

/** Installs what is not there. Ends the process when that cannot be done. */
export function installBundlers() {
  if (isInstalled()) return;
  console.log("Installing the bundlers that the package is tested with.");
  const args = ["ci", "--no-audit", "--no-fund", "--prefix", folder];
  const { status } = spawnSync("npm", args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status === 0) return;
  console.error("The bundlers could not be installed.");
  process.exit(1);
}

/** True when what npm has put there is what the lock file says. */
function isInstalled() {
  const read = (/** @type {string} */ path) => JSON.parse(readFileSync(join(folder, path), "utf8")).packages;
  try {
    const { "": _, ...locked } = read("package-lock.json");
    const installed = read("node_modules/.package-lock.json");
    // What is for other machines is not there.
    return Object.entries(locked).every(
      ([path, { version, optional }]) =>
        (optional && !installed[path]) || installed[path]?.version === version,
    );
  } catch {
    return false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installBundlers();
