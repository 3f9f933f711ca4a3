import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";

const INSTALLED = [
  process.env.BOXRUN_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** How tests and the bench start it: without the background services that only make noise there. */
export const CHROMIUM_ARGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // As root, as in containers, Chromium has no sandbox of its own to start.
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];

/**
 * The path of a Chromium: one that is installed, else one that is installed now, from Debian's packages where that can be done,
 * otherwise by Playwright's own download. Ends the process when there is none to be had.
 * @returns {string}
 */
export function findChromium() {
  const found = search();
  if (found) return found;
  console.log("There is no Chromium on this machine; installing one for the browser tests.");
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    run("apt-get", ["update", "-qq"]);
    run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"]);
  }
  const installed = search();
  if (installed) return installed;
  const playwright = fileURLToPath(new URL("../node_modules/playwright/cli.js", import.meta.url));
  run(process.execPath, [playwright, "install", "chromium"]);
  const downloaded = search();
  if (downloaded) return downloaded;
  console.error(
    "No Chromium could be found or installed. Install one (Debian: apt-get install chromium), " +
      "or set BOXRUN_CHROMIUM to its path.",
  );
  process.exit(1);
}

/** True when {@link findChromium} has nothing to install. */
export function hasChromium() {
  return search() !== undefined;
}

function search() {
  return [...INSTALLED, chromium.executablePath()].find((path) => path && existsSync(path));
}

function run(command, args) {
  return spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}
