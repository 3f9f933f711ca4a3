import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { composeImagePackage } from "../../scripts/image-package.mjs";
import { ROOT } from "../root.js";

/** Packs the package, or the workspace of an image, into a folder. Returns the tarball's path. */
export function pack(folder: string, workspace?: string): string {
  const before = new Set(readdirSync(folder));
  // The workspace's script composes its files; the package's would build what is built.
  const what = workspace === undefined ? ["--ignore-scripts"] : [];
  const cwd = workspace === undefined ? ROOT : join(ROOT, workspace);
  execFileSync("npm", ["pack", ...what, "--pack-destination", folder], { cwd, stdio: "pipe" });
  return join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz") && !before.has(name))!);
}

/** Unpacks a tarball as an installation would, without npm. */
export function unpackTo(tarball: string, installed: string): void {
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["xzf", tarball, "-C", installed, "--strip-components=1"], { stdio: "pipe" });
}

/** Puts the package of an image into a project. */
export async function linkImage(name: string, project: string): Promise<void> {
  await composeImagePackage(name);
  const installed = join(project, "node_modules/@boxrun", `image-${name}`);
  mkdirSync(dirname(installed), { recursive: true });
  symlinkSync(join(ROOT, "wasm/images", name), installed);
}
