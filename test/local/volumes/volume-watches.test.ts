import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import type { OpenedVolume } from "../../../src/local/volumes/mount.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import { operateOnTree, removeFromTree, writeTreeFile } from "../../../src/local/volumes/tree-operations.js";
import { watchInTree } from "../../../src/local/volumes/tree-watch.js";
import { Watching } from "./watching.js";

const ENOENT = 2;

/** Files that somebody changes, other than the box. */
interface Files {
  write(path: string, text?: string): void;
  mkdir(path: string): void;
  rename(from: string, to: string): void;
  /** With all below. */
  remove(path: string): void;
  chmod(path: string, mode: number): void;
  link(path: string, target: string): void;
}

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "boxrun-volume-watches-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const bytes = (text: string) => new TextEncoder().encode(text);

function hostDirectory(): { volume: OpenedVolume; files: Files } {
  const at = (path: string) => join(folder, path);
  return {
    volume: openHostDirectory({ hostPath: folder, readonly: false }),
    files: {
      write: (path, text = "") => writeFileSync(at(path), text),
      mkdir: (path) => mkdirSync(at(path), { recursive: true }),
      rename: (from, to) => renameSync(at(from), at(to)),
      remove: (path) => rmSync(at(path), { recursive: true }),
      chmod: (path, mode) => chmodSync(at(path), mode),
      link: (path, target) => symlinkSync(target, at(path)),
    },
  };
}

function memory(): { volume: OpenedVolume; files: Files } {
  const tree = new MemoryTree();
  const own = (path: string) => bytes(`/${path}`);
  return {
    volume: {
      root: tree.root(),
      device: 0,
      readonly: false,
      watch: (path, recursive, listener) => watchInTree(tree, path, recursive, listener),
    },
    files: {
      write: (path, text = "") => writeTreeFile(tree, own(path), bytes(text), undefined),
      mkdir: (path) =>
        void operateOnTree(tree, { op: "mkdir", path: own(path), mode: 0o755, recursive: true }),
      rename: (from, to) => void operateOnTree(tree, { op: "rename", path: own(from), to: own(to) }),
      remove: (path) => removeFromTree(tree, own(path)),
      chmod: (path, mode) => tree.root().find(path).change({ mode }),
      link: (path, target) => void tree.root().makeLink(path, target),
    },
  };
}

const volumes = [
  ["a directory of the host", hostDirectory],
  ["a volume in memory", memory],
] as const;
// Nothing else tells of changes by the descriptor of a directory.
const possible = process.platform === "linux" ? volumes : volumes.slice(1);

describe.each(possible)("watches in %s", (_name, open) => {
  let served: ServedVolumes;
  let files: Files;
  beforeEach(() => {
    const opened = open();
    files = opened.files;
    served = new ServedVolumes([opened.volume]);
  });
  afterEach(() => served.close());

  it("tell of the entries of a directory, and of nothing below", async () => {
    files.mkdir("dir/inner");
    const watching = await Watching.begin(served, "/0/dir");
    files.write("dir/file", "1");
    expect(await watching.until("created /file")).toEqual(["created /file"]);
    files.write("dir/inner/unseen");
    files.write("elsewhere");
    files.chmod("dir", 0o700);
    files.write("dir/file", "22");
    expect(await watching.until("changed /file")).not.toContain("created /inner/unseen");
    files.rename("dir/file", "dir/other");
    expect((await watching.until("renamed /file /other")).at(-1)).toBe("renamed /file /other");
    files.rename("dir/other", "away");
    files.rename("elsewhere", "dir/in");
    const seen = await watching.until("created /in");
    expect(seen.filter((change) => change !== "changed /file")).toEqual(["removed /other", "created /in"]);
  });

  it("tell of all below, in directories that come, move and go, too", async () => {
    files.mkdir("outside/full/fuller");
    files.write("outside/full/fuller/file");
    files.mkdir("root/tree/deep");
    const watching = await Watching.begin(served, "/0/root", { recursive: true });
    files.write("root/tree/deep/file");
    await watching.until("created /tree/deep/file");
    files.rename("outside/full", "root/full");
    const found = await watching.until("created /full/fuller/file");
    expect(found.slice(-3)).toEqual(["created /full", "created /full/fuller", "created /full/fuller/file"]);
    files.write("root/full/late");
    await watching.until("created /full/late");
    files.rename("root/full", "root/tree/moved");
    await watching.until("renamed /full /tree/moved");
    files.write("root/tree/moved/fuller/file", "more");
    await watching.until("changed /tree/moved/fuller/file");
    files.rename("root/tree/moved", "outside/moved");
    await watching.until("removed /tree/moved");
    files.write("outside/moved/fuller/unseen");
    files.remove("root/tree");
    const seen = await watching.until("removed /tree");
    expect(seen.filter((change) => change.includes("unseen"))).toEqual([]);
    expect(seen).toContain("removed /tree/deep/file");
  });

  it("follow a file through replacements, to its end", async () => {
    files.write("file", "1");
    files.link("link", "file");
    const watching = await Watching.begin(served, "/0/link");
    files.write("file", "22");
    await watching.until("changed");
    files.write("new", "333");
    files.rename("new", "file");
    expect((await watching.until("created")).at(-1)).toBe("created");
    files.write("neighbour");
    files.remove("file");
    expect((await watching.until()).slice(-2)).toEqual(["removed", "end"]);
  });

  it.each([
    ["removed", () => files.remove("dir")],
    ["moved", () => files.rename("dir", "other")],
  ])("end when their directory is %s", async (_what, change) => {
    files.mkdir("dir");
    const watching = await Watching.begin(served, "/0/dir", { recursive: true });
    change();
    expect(await watching.until()).toEqual(["removed", "end"]);
  });

  it("leave out files that are not in their place yet", async () => {
    const watching = await Watching.begin(served, "/0", { recursive: true });
    const answer = await served.call({ call: "create", path: "/0/file", newMode: 0o644 });
    const { handle } = "opened" in answer ? answer.opened : expect.fail();
    await served.call({ call: "write", handle, at: 0, bytes: bytes("x") });
    await served.call({ call: "commit", handle });
    await served.call({ call: "close", handle });
    files.mkdir("last");
    expect(await watching.until("created /last")).toEqual(["created /file", "created /last"]);
  });

  it("say what cannot be watched, and end when they are told to", async () => {
    const missing = await served.call({ call: "watch", watch: 1, path: "/0/missing", recursive: false });
    expect(missing).toEqual({ errno: ENOENT });
    const watching = await Watching.begin(served, "/0", { number: 2 });
    const seen = watching.until();
    await served.call({ call: "unwatch", watch: 2 });
    expect(await seen).toEqual(["end"]);
    expect(await served.call({ call: "changes", watch: 2 })).toEqual({ errno: 9 });
  });

  it("tell a reader who is too slow that something is missing, and go on", async () => {
    const watching = await Watching.begin(served, "/0", { recursive: true });
    const other = await Watching.begin(served, "/0", { recursive: true, number: 2 });
    files.mkdir("many");
    for (let i = 0; i < 9000; i++) files.write(`many/${i}`);
    // This one is read, and both are fed in turns.
    await other.until("created /many/8999");
    await watching.until("overflow");
    files.mkdir("last");
    await watching.until("created /last");
  });
});

describe.skipIf(process.platform !== "linux")("watches in a directory of the host", () => {
  const descriptors = () => readdirSync("/proc/self/fd").length;

  it("leave no descriptor", async () => {
    for (let i = 0; i < 20; i++) mkdirSync(join(folder, `${i}/deep`), { recursive: true });
    const served = new ServedVolumes([openHostDirectory({ hostPath: folder, readonly: false })]);
    const first = await Watching.begin(served, "/0/1");
    await served.call({ call: "unwatch", watch: 1 });
    const before = descriptors();
    await Watching.begin(served, "/0", { recursive: true, number: 2 });
    await Watching.begin(served, "/0/2", { recursive: true, number: 3 });
    expect(descriptors()).toBeGreaterThan(before + 40);
    for (let i = 0; i < 10; i++) rmdirSync(join(folder, `${i}/deep`));
    await served.call({ call: "unwatch", watch: 2 });
    await served.call({ call: "unwatch", watch: 3 });
    expect(descriptors()).toBe(before);
    served.close();
    expect(first).toBeDefined();
  });

  it("see directories exchange their places, and a name that comes again", async () => {
    for (const name of ["a/in-a", "b/in-b"]) mkdirSync(join(folder, name), { recursive: true });
    const served = new ServedVolumes([openHostDirectory({ hostPath: folder, readonly: false })]);
    const watching = await Watching.begin(served, "/0", { recursive: true });
    const at = (path: string) => join(folder, path);
    renameSync(at("a"), at("c"));
    renameSync(at("b"), at("a"));
    renameSync(at("c"), at("b"));
    expect(await watching.until("renamed /b /a")).toEqual(["renamed /a /b", "renamed /b /a"]);
    writeFileSync(at("a/in-b/1"), "");
    writeFileSync(at("b/in-a/2"), "");
    const seen = [await watching.until("created /a/in-b/1"), await watching.until("created /b/in-a/2")];
    expect(seen.flat().filter((change) => change.startsWith("created"))).toEqual([
      "created /a/in-b/1",
      "created /b/in-a/2",
    ]);
    served.close();
  });

  it("see a change that keeps size and time, and none where nothing has changed", async () => {
    const at = (path: string) => join(folder, path);
    writeFileSync(at("file"), "one");
    writeFileSync(at("same"), "one");
    utimesSync(at("file"), 1, 1);
    const served = new ServedVolumes([openHostDirectory({ hostPath: folder, readonly: false })]);
    const watching = await Watching.begin(served, "/0");
    appendFileSync(at("same"), "");
    writeFileSync(at("file"), "two");
    utimesSync(at("file"), 1, 1);
    expect(await watching.until("changed /file")).toEqual(["changed /file"]);
    writeFileSync(at("gone"), "");
    unlinkSync(at("gone"));
    mkdirSync(at("last"));
    expect(await watching.until("created /last")).toEqual(["created /last"]);
    served.close();
  });
});
