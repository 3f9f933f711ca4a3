import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
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
import { afterEach, beforeEach, expect, it } from "vitest";
import { ROOT } from "../root.js";

const CLI = join(ROOT, "dist/node/cli.js");

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "boxrun-site-"));
  folder = join(home, "class");
});
afterEach(() => rmSync(home, { recursive: true }));

function site(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "site", ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}
const files = () => readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
const read = (path: string) => readFileSync(join(folder, path), "utf8");

/** Puts a file of somebody else's into the folder. */
function put(path: string, text: string): void {
  mkdirSync(join(folder, path, ".."), { recursive: true });
  writeFileSync(join(folder, path), text);
}

/** Hashes of the files that the page's service worker keeps, as the folder has them. */
const listed = () => Object.entries<string>(JSON.parse(read("files.json")));
const hashOf = (path: string) =>
  createHash("sha256")
    .update(readFileSync(join(folder, path || "index.html")))
    .digest("hex");

it("writes a page with all that it loads, and says how to try it", () => {
  const { status, stdout, stderr } = site(folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/class: a page with tiny, \d+ files, \d+\.\d MB\nTo try it: npx serve \S+class\n/);
  expect(stdout).toMatch(
    /python3 -m http\.server --bind 127\.0\.0\.1 --directory \S+class\nPreviews: none, without --preview-url\nNetwork of boxes: by the page's fetch.*below a path.*https/s,
  );
  const bytes = files().reduce((sum, path) => sum + statSync(join(folder, path)).size, 0);
  expect(bytes).toBeLessThan(13e6);
  // Its service worker finds everything that it keeps.
  for (const [path, hash] of listed()) expect(hashOf(path)).toMatch(hash);
  expect(listed().map(([path]) => path)).toEqual(
    expect.arrayContaining(["", "index.html", "main.js", "style.css", "examples.json", "settings.json"]),
  );
  expect(JSON.parse(read("settings.json"))).toEqual({});
  const { images, worker } = JSON.parse(read("assets/manifest.json"));
  expect(images.map(({ name }: { name: string }) => name)).toEqual(["tiny"]);
  expect(files()).toEqual(expect.arrayContaining(["worker.js", `assets/${worker.file}`, "assets/NOTICE"]));
  // Below whatever path it is served: no address begins at the root of its host.
  for (const path of ["index.html", "style.css"])
    expect(read(path)).not.toMatch(/(?:src|href|url)\s*[=(]\s*["']?\//);
});

it("gives the page the addresses of previews and of a relay, anew with each run", () => {
  const addresses = [
    "--preview-url",
    "https://preview.example.com/",
    "--relay-url",
    "wss://r.example.com/t/",
  ];
  expect(site(folder, ...addresses)).toMatchObject({ status: 0, stderr: "" });
  expect(JSON.parse(read("settings.json"))).toEqual({
    previewUrl: "https://preview.example.com/",
    relay: "wss://r.example.com/t/",
  });
  // A page that is kept in a browser sees by the list that they are others.
  const before = new Map(listed());
  expect(hashOf("settings.json")).toMatch(before.get("settings.json")!);
  expect(site(folder).status).toBe(0);
  expect(JSON.parse(read("settings.json"))).toEqual({});
  const changed = listed().filter(([path, hash]) => before.get(path) !== hash);
  expect(changed.map(([path]) => path)).toEqual(["settings.json"]);
  expect(hashOf("settings.json")).toMatch(changed[0]![1]);
});

it("writes nothing for an address that the page could not use", () => {
  const { status, stderr } = site(folder, "--preview-url", "https://example.com/preview/");
  expect(status).toBe(2);
  expect(stderr).toMatch(/^boxrun: --preview-url must be an origin.*\n.*--help/);
  expect(readdirSync(home)).toEqual([]);
});

it("offers the images that are named, and a folder of assets that `boxrun assets` goes on with", () => {
  site(folder);
  const args = [CLI, "assets", join(folder, "assets"), "--image", "tiny", "--image", "debian"];
  expect(spawnSync(process.execPath, args).status).toBe(0);
  const images = () =>
    JSON.parse(read("assets/manifest.json")).images.map(({ name }: { name: string }) => name);
  expect(images()).toEqual(["tiny", "debian"]);
  expect(site(folder, "--image", "alpine").stdout).toMatch(/removed \d{3} of an earlier run/);
  expect(images()).toEqual(["tiny"]);
});

it("run again, changes nothing, mends what is damaged, and removes only what it wrote", () => {
  site(folder);
  const before = files();
  const page = read("index.html");
  const { mtimeMs } = statSync(join(folder, "main.js"));
  expect(site(folder).status).toBe(0);
  expect(files()).toEqual(before);
  expect(statSync(join(folder, "main.js")).mtimeMs).toBe(mtimeMs);

  put("index.html", "half");
  for (const path of ["browser/chunk-OLD.js", "about.html", "../outside.txt"]) put(path, "");
  appendFileSync(join(folder, ".boxrun-site"), "browser/chunk-OLD.js\n../outside.txt\n");
  expect(site(folder).stdout).toMatch(/removed 1 of an earlier run/);
  expect(read("index.html")).toBe(page);
  expect(files()).toEqual([...before, "about.html"].sort());
  expect(readdirSync(home).sort()).toEqual(["class", "outside.txt"]);
});

it.each(["index.html", "worker.js", "assets/manifest.json"])(
  "writes nothing where %s is somebody else's",
  (path) => {
    put(path, "mine");
    put("about.html", "mine, too");
    const before = files();
    const { status, stderr } = site(folder);
    expect(status).toBe(125);
    expect(stderr).toMatch(
      /^boxrun: will not overwrite .*, which boxrun has not written \(.*\) \[VALIDATION_ERROR\]\n$/,
    );
    expect(stderr).toContain(join(folder, path));
    expect(files()).toEqual(before);
    expect(read(path)).toBe("mine");
  },
);

it("writes nothing when there is no such image, and tells which there are", () => {
  const { status, stderr } = site(folder, "--image", "fedora");
  expect(status).toBe(125);
  expect(stderr).toMatch(/^boxrun: there is no local image "fedora" .*tiny.*\[IMAGE_PULL_FAILED\]\n$/);
  expect(readdirSync(home)).toEqual([]);
});

it("names a folder that cannot be written", () => {
  writeFileSync(folder, "a file");
  const { status, stderr } = site(join(folder, "page"));
  expect(status).toBe(125);
  expect(stderr).toMatch(/^boxrun: cannot write to .*class\/page.*: ENOTDIR: not a directory.*\n$/);
});

it.each([[[]], [["a", "b"]], [["a", "--memory", "256"]]])("takes one folder, not %j", (args) => {
  expect(site(...args)).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^boxrun: site .*\n.*--help/),
  });
});
