import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ROOT } from "../root.js";

const CLI = join(ROOT, "dist/node/cli.js");

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "boxrun-assets-")), "public/boxrun");
});
afterEach(() => rmSync(join(folder, "../.."), { recursive: true }));

function assets(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "assets", ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}
const files = () => readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
const manifest = () => JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));

it("copies what boxes of an image need, and says where a client finds it", async () => {
  const { status, stdout, stderr } = assets(folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/public\/boxrun: tiny in \d+ files, \d+\.\d MB\n.*served as boxrun\//);
  const bytes = files().reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  expect(bytes).toBeLessThan(12e6);
  expect(manifest().images.map(({ name }: { name: string }) => name)).toEqual(["tiny"]);
  expect(files()).toContain(manifest().worker.file);
  // Nothing that the manifest names is missing: a box starts from the copy alone, and reads all of its image.
  const client = new BoxRunClient({ backend: "local", local: { assets: folder, persistent: false } });
  const all = "cat $(find /bin /usr/bin -type f) | wc -c";
  const { exitCode, stdout: size } = await client.run("tiny", all, { memoryMb: 256 });
  await client.close();
  expect(exitCode).toBe(0);
  expect(Number(size)).toBeGreaterThan(1e6);
});

it("copies only the boot images of the sizes that are named, and boxes of others start without", async () => {
  expect(assets(folder, "--memory", "256").status).toBe(0);
  const bytes = files().reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  expect(bytes).toBeLessThan(8e6);
  const client = new BoxRunClient({ backend: "local", local: { assets: folder, persistent: false } });
  const boots = [];
  for (const memoryMb of [256, 1024])
    boots.push((await client.create("tiny", { memoryMb })).info.local?.boot);
  await client.close();
  expect(boots).toEqual(["snapshot", "cold"]);
  expect(assets(folder, "--memory", "256", "--memory", "1024").status).toBe(0);
  expect(files().filter((name) => name.startsWith("boot-image-tiny")).length).toBe(2);
});

it("refuses a size that has no boot image, and writes nothing", () => {
  const { status, stderr } = assets(folder, "--memory", "512");
  expect(status).toBe(125);
  expect(stderr).toMatch(/^boxrun: --memory must be 1024 or 256, .*got 512 .*\[VALIDATION_ERROR\]\n$/);
  expect(existsSync(folder)).toBe(false);
});

it("leaves an application's own manifest.json alone, and writes nothing", () => {
  const site = join(folder, "..");
  mkdirSync(site, { recursive: true });
  writeFileSync(join(site, "manifest.json"), '{"name":"My app"}');
  const { status, stderr } = assets(site);
  expect(status).toBe(125);
  expect(stderr).toMatch(/^boxrun: will not overwrite .*manifest\.json, which boxrun has not written/);
  expect(readdirSync(site)).toEqual(["manifest.json"]);
});

it("copies several images with one manifest, by any of their names, and without what only others need", () => {
  assets(folder, "--image", "alpine", "--image", "python", "--image", "tiny");
  expect(manifest().images.map(({ name }: { name: string }) => name)).toEqual(["tiny", "debian"]);
  const withBoth = files().length;
  const { stdout } = assets(folder, "--image", "tiny");
  expect(stdout).toMatch(/removed \d{3} of an earlier run/);
  expect(files().length).toBeLessThan(withBoth - 100);
  expect(files().filter((name) => name.includes("debian"))).toEqual([]);
});

it("run again, changes nothing, mends what is damaged, and leaves the files of others alone", () => {
  assets(folder);
  const script = join(folder, manifest().worker.file);
  const whole = readFileSync(script);
  const before = files();
  const { mtimeMs } = statSync(script);
  expect(assets(folder).status).toBe(0);
  expect(files()).toEqual(before);
  expect(statSync(script).mtimeMs).toBe(mtimeMs);

  writeFileSync(script, "half");
  // A file that it wrote in an earlier version, two of somebody else's, and a record that names what is outside.
  for (const name of ["old.0123.bin", "other.txt", "../outside.txt"]) writeFileSync(join(folder, name), "");
  appendFileSync(join(folder, ".boxrun-assets"), "old.0123.bin\n../outside.txt\n");
  expect(assets(folder).stdout).toMatch(/removed 1 of an earlier run/);
  expect(readFileSync(script)).toEqual(whole);
  expect(files()).toEqual([...before, "other.txt"].sort());
  expect(existsSync(join(folder, "../outside.txt"))).toBe(true);
});

it("writes nothing when there is no such image, and tells which there are", () => {
  const { status, stderr } = assets(folder, "--image", "tiny", "--image", "fedora");
  expect(status).toBe(125);
  expect(stderr).toMatch(/^boxrun: there is no local image "fedora" .*tiny.*\[IMAGE_PULL_FAILED\]\n$/);
  expect(existsSync(folder)).toBe(false);
});

it.each([[[]], [["a", "b"]], [["a", "--disk", "8"]]])("takes one folder, not %j", (args) => {
  expect(assets(...args)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^boxrun: assets .*\n.*--help/),
  });
});
