import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../root.js";
import { pack } from "./packages.js";

/** Limit of the package's size, packed. */
const MAX_PACKED_BYTES = 12_300_000;

const folder = mkdtempSync(join(tmpdir(), "boxrun-install-"));
const project = join(folder, "project");
let tarballs: { boxrun: string; debian: string; tiny: string };

beforeAll(() => {
  for (const name of ["project", "home", "cache"]) mkdirSync(join(folder, name));
  writeFileSync(join(project, "package.json"), '{"type":"module"}');
  tarballs = {
    boxrun: pack(folder),
    debian: pack(folder, "wasm/images/debian"),
    tiny: pack(folder, "wasm/images/tiny"),
  };
}, 180_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** A user's own environment, in which nothing has ever been installed or cached. */
function run(command: string, ...args: string[]): string {
  const home = join(folder, "home");
  const env = { PATH: process.env["PATH"], HOME: home, npm_config_cache: join(folder, "cache") };
  return execFileSync(command, args, { cwd: project, encoding: "utf8", stdio: "pipe", env });
}

function script(name: string, code: string): string {
  writeFileSync(join(project, name), `import { BoxRunClient } from "boxrun";\n${code}`);
  return run(process.execPath, name);
}

const CLIENT = 'const client = new BoxRunClient({ backend: "local" });';
const PYTHON = `${CLIENT}
const run = client.run("python", ["python3", "-c", "print(6 * 7)"]);
console.log(await run.then(({ stdout }) => stdout, ({ code, hint }) => code + ": " + hint));
console.log((await client.images()).map(({ name }) => name).join());`;
const VERSION = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version;

it("the package is small enough, and whole without a registry: it is installed alone, and runs tiny", () => {
  expect(statSync(tarballs.boxrun).size).toBeLessThanOrEqual(MAX_PACKED_BYTES);
  run("npm", "install", "--offline", "--no-audit", "--no-fund", tarballs.boxrun);
  const { packages } = JSON.parse(readFileSync(join(project, "package-lock.json"), "utf8"));
  expect(Object.keys(packages)).toEqual(["", "node_modules/boxrun"]);
  const code = `${CLIENT}
    const { stdout } = await client.run("tiny", "echo installed");
    const box = await client.create("alpine", { memoryMb: 256 });
    console.log(stdout.trim(), box.info.local.boot);
    await box.remove({ force: true });`;
  expect(script("tiny.mjs", code)).toBe("installed snapshot\n");
});

it("an image whose package is missing is named with the command that installs it; then it is found", () => {
  expect(script("python.mjs", PYTHON)).toBe(
    `IMAGE_PULL_FAILED: npm i @boxrun/image-debian@${VERSION}\ntiny\n`,
  );
  expect(run("npx", "--offline", "boxrun", "images")).toMatch(/^tiny\b.*\n$/);
  run("npm", "install", "--offline", "--no-audit", "--no-fund", tarballs.debian);
  expect(script("python.mjs", PYTHON)).toBe("42\n\ndebian,tiny\n");
  expect(run("npx", "--offline", "boxrun", "images")).toMatch(/^debian\b.*\ntiny\b/);
});

it("an image's package is given to local.images, and starts from its boot image", () => {
  const code = `import debian from "@boxrun/image-debian";
    const client = new BoxRunClient({ backend: "local", local: { images: [debian], persistent: false } });
    const box = await client.create("debian");
    console.log((await box.exec("cat /etc/debian_version")).stdout.slice(0, 3), box.info.local.boot, box.info.local.warnings.length);
    await box.remove({ force: true });`;
  expect(script("given.mjs", code)).toBe("13. snapshot 0\n");
});

it.each(["boxrun", "debian", "tiny"] as const)(
  "the tarball of %s is found in order by publint and are-the-types-wrong",
  (name) => {
    const tool = (command: string, ...args: string[]) =>
      execFileSync(join(ROOT, "node_modules/.bin", command), args, { cwd: ROOT, stdio: "pipe" });
    tool("publint", "run", "--strict", tarballs[name]);
    // There is no CommonJS. All else is to be right, for the oldest way to resolve modules, too.
    const subpaths = name === "boxrun" ? [] : ["--entrypoints", "."];
    tool("attw", tarballs[name], "--ignore-rules", "cjs-resolves-to-esm", ...subpaths);
  },
);

it("the files of images are in their own packages", () => {
  const list = (path: string) => execFileSync("tar", ["tzf", path], { encoding: "utf8" }).trim().split("\n");
  const names = (path: string) => list(path).map((file) => file.replace(/^package\//, ""));
  const assets = names(tarballs.boxrun).filter((file) => file.startsWith("dist/assets/"));
  expect(assets.filter((file) => /debian/.test(file))).toEqual([]);
  expect(names(tarballs.boxrun).filter((file) => file.endsWith(".map"))).toEqual([]);
  const own = (path: string) => new Set(names(path).filter((file) => file.startsWith("assets/")));
  const inRoot = new Set(assets.map((file) => file.slice("dist/".length)));
  for (const file of own(tarballs.tiny)) expect(inRoot).toContain(file);
  const debian = own(tarballs.debian);
  for (const kind of [
    /^assets\/manifest\.json$/,
    /boot-image-debian-1024/,
    /debian\.chunks/,
    /^assets\/chunks\//,
  ])
    expect([...debian].some((file) => kind.test(file))).toBe(true);
});
