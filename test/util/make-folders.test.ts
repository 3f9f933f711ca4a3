import { mkdtempSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { makeFolders } from "../../src/util/make-folders.js";

const make = (path: string, options?: { mode: number }) =>
  makeFolders(path, { mkdir, stat }, dirname, options);
const codeOf = (path: string) =>
  make(path).then(
    () => "done",
    (error) => error.code,
  );
const root = mkdtempSync(join(tmpdir(), "boxrun-folders-"));

it("creates a folder and those above it, with the mode, and accepts one that exists", async () => {
  const path = join(root, "a/b/c");
  await make(path, { mode: 0o700 });
  expect([path, dirname(path)].map((folder) => statSync(folder).mode & 0o777)).toEqual([0o700, 0o700]);
  await make(path);
  await make("/");
});

it("creates one folder for all who ask at once", async () => {
  await Promise.all(Array.from({ length: 20 }, (_, i) => make(join(root, `at/once/${i % 3}`))));
  expect(statSync(join(root, "at/once/2")).isDirectory()).toBe(true);
});

it("creates a folder whose parent somebody else has created meanwhile", async () => {
  const path = join(root, "meanwhile/x");
  const calls: string[] = [];
  const late = async (folder: string) => {
    calls.push(folder);
    if (calls.length === 1) {
      await mkdir(dirname(path));
      throw Object.assign(new Error("ENOENT"), { code: "ENOENT" });
    }
    return mkdir(folder);
  };
  await makeFolders(path, { mkdir: late, stat }, dirname);
  expect(statSync(path).isDirectory()).toBe(true);
});

it("follows links to folders", async () => {
  await make(join(root, "real"));
  symlinkSync(join(root, "real"), join(root, "link"));
  await make(join(root, "link/x"));
  expect(statSync(join(root, "real/x")).isDirectory()).toBe(true);
});

it("fails where no folder can be", async () => {
  writeFileSync(join(root, "file"), "");
  symlinkSync(join(root, "nowhere"), join(root, "broken"));
  expect(await codeOf(join(root, "file"))).toBe("EEXIST");
  expect(await codeOf(join(root, "file/x"))).toBe("ENOTDIR");
  expect(await codeOf(join(root, "broken"))).toBe("EEXIST");
});

it.runIf(process.platform === "linux")("ends below /proc, where Node's own does not", async () => {
  expect(await codeOf("/proc/x")).toBe("ENOENT");
  expect(await codeOf("/proc/x/y")).toBe("ENOENT");
});
