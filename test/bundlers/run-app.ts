import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";
import { ROOT } from "../root.js";
import type { App, Workspace } from "./apps.js";

/** Also for what is bundled into some other folder. */
const APPLICATIONS = join(ROOT, "test/bundlers");

/** What the box of every application prints. */
export const EXPECTED = "hello from a box";
/** Time for a page to show what its box printed, on a busy machine. */
const SHOW_MS = 60_000;

/** Makes a folder with the bundlers and the package as it would be published: where a bundler looks above it, nothing of this project is found. */
export function makeWorkspace(): Workspace {
  const installed = join(APPLICATIONS, "node_modules");
  if (!existsSync(installed)) throw new Error("run node test/bundlers/install.mjs first");
  const workspace = mkdtempSync(join(tmpdir(), "boxrun-bundlers-"));
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: ROOT, stdio: "pipe" });
  try {
    // Links where both are on one disk: it is half a gigabyte.
    run("cp", "-al", installed, workspace);
  } catch {
    run("cp", "-a", installed, workspace);
  }
  for (const file of ["package.json", "package-lock.json"])
    cpSync(join(APPLICATIONS, file), join(workspace, file));
  const own = join(workspace, "node_modules/boxrun");
  mkdirSync(own);
  run("npm", "pack", "--ignore-scripts", "--pack-destination", workspace);
  const tarball = readdirSync(workspace).find((name) => name.endsWith(".tgz")) as string;
  run("tar", "xzf", join(workspace, tarball), "-C", own, "--strip-components=1");
  rmSync(join(workspace, tarball));
  return workspace;
}

/** Builds and serves an application, and opens its pages. Returns the text of each, and what the browser's console has to complain about. */
export async function runApp(
  { folder: name, assets, start, pages }: App,
  workspace: Workspace,
  browser: Browser,
): Promise<{ texts: string[]; complaints: string[] }> {
  const folder = join(workspace, name);
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(APPLICATIONS, name), folder, { recursive: true });
  cpSync(join(APPLICATIONS, "main.js"), join(folder, "main.js"));
  if (assets !== undefined) {
    const cli = join(workspace, "node_modules/boxrun/dist/node/cli.js");
    execFileSync(process.execPath, [cli, "assets", assets, "--image", "tiny"], { cwd: folder });
  }
  const { url, close } = await start(folder);
  const context = await browser.newContext();
  try {
    const complaints: string[] = [];
    const texts: string[] = [];
    for (const path of pages) {
      const page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("console", (message) => {
        // Every browser asks for an icon by itself.
        const { url: of } = message.location();
        const isIcon = of.endsWith("/favicon.ico");
        // A page that is not at the root is asked for assets of its own first.
        const isMiss = path.lastIndexOf("/") > 0 && of.endsWith("/manifest.json");
        if (/error|warning/.test(message.type()) && !isIcon && !isMiss) complaints.push(message.text());
      });
      await page.goto(url + path);
      const shown = page.locator("pre").filter({ hasText: /\w/ });
      await shown.waitFor({ timeout: SHOW_MS });
      texts.push((await shown.textContent())?.trim() ?? "");
    }
    return { texts, complaints };
  } finally {
    await context.close();
    await close();
  }
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium(), args: CHROMIUM_ARGS });
}
