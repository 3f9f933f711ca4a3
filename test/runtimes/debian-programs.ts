import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";
import { ROOT } from "../root.js";
import { serveStatic } from "./static-host.js";

const PACKAGES = pathToFileURL(join(ROOT, "wasm/images/debian/packages.mjs")).href;
const LOCK = join(ROOT, "test/fixtures/programs/packages.lock.json");
/** Programs of Debian that the image lacks: the packages that they are in, and what is taken of these. */
const PROGRAMS = {
  git: {
    packages: ["git", "libcurl3t64-gnutls", "libngtcp2-16", "libngtcp2-crypto-gnutls8"],
    files: [
      ...["usr/bin/git", "usr/lib/git-core/git-remote-http", "usr/lib/git-core/git-remote-https"],
      ...["usr/lib/i386-linux-gnu", "usr/share/git-core"],
    ],
  },
  livereload: { packages: ["python3-livereload", "python3-tornado"], files: ["usr/lib/python3"] },
} as const;

/** A program, or the reason why it is not there. */
export type Program = { packages: readonly string[]; files: readonly string[] } | { missing: string };

/** Fetches the packages of a program from the machine's mirror of Debian, unless they are there. */
export async function findProgram(name: keyof typeof PROGRAMS): Promise<Program> {
  const { fetchPackages, nameOf, NotFetched }: typeof import("../../wasm/images/debian/packages.mjs") =
    await import(/* @vite-ignore */ PACKAGES);
  const { packages, files } = PROGRAMS[name];
  const locked: Parameters<typeof fetchPackages>[1] = JSON.parse(readFileSync(LOCK, "utf8"));
  const wanted = locked.filter(({ path }) => (packages as readonly string[]).includes(nameOf(path)));
  if (wanted.length !== packages.length) throw new Error(`${LOCK} lacks packages of ${name}`);
  if (spawnSync("dpkg-deb", ["--version"]).error) return { missing: "there is no dpkg-deb" };
  try {
    return { packages: fetchPackages(join(ROOT, ".cache/suites/"), wanted), files };
  } catch (error) {
    if (error instanceof NotFetched) return { missing: error.message };
    throw error;
  }
}

/** Serves the files of a program to pages as one tar archive, until the test has ended. Returns its URL. */
export async function serveProgram(program: Exclude<Program, { missing: string }>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-program-"));
  for (const file of program.packages) execFileSync("dpkg-deb", ["--extract", file, join(folder, "tree")]);
  execFileSync("tar", ["-C", join(folder, "tree"), "-cf", join(folder, "program.tar"), ...program.files]);
  const host = await serveStatic({ "/": folder }, { "access-control-allow-origin": "*" });
  onTestFinished(() => {
    host.close();
    rmSync(folder, { recursive: true });
  });
  return `${host.url}/program.tar`;
}

/** Serves the assets with all images, until the test has ended. Returns their URL. */
export async function serveAssets(): Promise<string> {
  const host = await serveStatic({ "/": join(ROOT, "dist/assets") }, { "access-control-allow-origin": "*" });
  onTestFinished(() => host.close());
  return `${host.url}/`;
}
