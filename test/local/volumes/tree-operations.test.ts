import { beforeEach, describe, expect, it } from "vitest";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import {
  operateOnTree,
  readTreeFile,
  removeFromTree,
  writeTreeFile,
} from "../../../src/local/volumes/tree-operations.js";
import { describeTree, errnoOf, type MemoryNode } from "./tree-calls.js";

let tree: MemoryTree;
let root: MemoryNode;
const newTree = (maxBytes = 2 ** 20) => {
  tree = new MemoryTree({ maxBytes });
  root = tree.root();
};
beforeEach(() => newTree());

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (path: string) => new TextDecoder().decode(readTreeFile(tree, bytes(path)));
const write = (path: string, contents: string, mode?: number) =>
  writeTreeFile(tree, bytes(path), bytes(contents), mode);
const stat = (path: string, followLinks = true) =>
  operateOnTree(tree, { op: "stat", path: bytes(path), followLinks })[0]!;
const list = (path: string) => {
  const entries = operateOnTree(tree, { op: "list", path: bytes(path) });
  return entries.map(({ name }) => new TextDecoder().decode(name));
};
const mkdir = (path: string, recursive = false) =>
  operateOnTree(tree, { op: "mkdir", path: bytes(path), mode: 0o700, recursive });
const rename = (path: string, to: string) =>
  operateOnTree(tree, { op: "rename", path: bytes(path), to: bytes(to) });
const remove = (path: string) => operateOnTree(tree, { op: "remove", path: bytes(path) });

describe("files by their paths", () => {
  it("are written with the directories of the path, read, described and listed", () => {
    write("/src/app/main.py", "print(42)");
    write("/src/müll", "", 0o600);
    expect(read("/src/app/main.py")).toBe("print(42)");
    expect(list("/")).toEqual(["src"]);
    expect(list("/src/")).toEqual(["app", "müll"]);
    const facts = { type: "file", size: 9, mode: 0o644, uid: 0, gid: 0, modifiedAt: expect.any(Date) };
    expect(stat("/src/./app/../app//main.py")).toEqual({ name: new Uint8Array(), ...facts });
    expect(stat("/src/müll").mode).toBe(0o600);
    expect(stat("/")).toMatchObject({ type: "directory", mode: 0o755 });
  });

  it("are replaced in place: whoever has them open or linked has the new contents, and the mode stays", () => {
    write("/a", "a long text", 0o755);
    root.addName(root.find("a"), "b");
    write("/a", "short");
    expect([read("/b"), stat("/b").mode]).toEqual(["short", 0o755]);
    write("/b", "longer than before", 0o600);
    expect([read("/a"), stat("/a").mode]).toEqual(["longer than before", 0o600]);
    write("/a", "");
    expect(read("/b")).toBe("");
  });

  it("are written completely or not at all", () => {
    newTree(100);
    write("/a", "a".repeat(60));
    expect(errnoOf(() => write("/b", "b".repeat(41)))).toBe("ENOSPC");
    expect(errnoOf(() => write("/a", "a".repeat(101)))).toBe("ENOSPC");
    expect(list("/")).toEqual(["a"]);
    expect(read("/a")).toBe("a".repeat(60));
    write("/a", "c".repeat(100));
    expect(read("/a")).toBe("c".repeat(100));
    root.find("a").change({ size: 10 });
    write("/b", "b".repeat(90));
    expect(read("/b")).toBe("b".repeat(90));
  });

  it("are made, renamed and removed as in a box", () => {
    mkdir("/d");
    expect(stat("/d").mode).toBe(0o700);
    mkdir("/d/e/f", true);
    mkdir("/d/e/f", true);
    write("/a", "A");
    rename("/a", "/d/e/f/a");
    expect([read("/d/e/f/a"), list("/")]).toEqual(["A", ["d"]]);
    remove("/d/e/f/a");
    expect(list("/d/e/f")).toEqual([]);
    removeFromTree(tree, bytes("/d"));
    expect(list("/")).toEqual([]);
  });

  it("are refused as in a box", () => {
    write("/f", "F");
    mkdir("/d");
    const before = describeTree(tree);
    const refusals: [() => unknown, string][] = [
      [() => read("/none"), "ENOENT"],
      [() => read("/none/x"), "ENOENT"],
      [() => read("/f/x"), "ENOTDIR"],
      [() => read("/d"), "EISDIR"],
      [() => read("/"), "EISDIR"],
      [() => write("/d", ""), "EISDIR"],
      [() => write("/", ""), "EISDIR"],
      [() => write("/f/x", ""), "ENOTDIR"],
      [() => list("/f"), "ENOTDIR"],
      [() => mkdir("/d"), "EEXIST"],
      [() => mkdir("/"), "EEXIST"],
      [() => mkdir("/f", true), "EEXIST"],
      [() => mkdir("/none/d"), "ENOENT"],
      [() => rename("/d", "/d/x"), "EINVAL"],
      [() => rename("/", "/x"), "EBUSY"],
      [() => rename("/f", "/d"), "EISDIR"],
      [() => rename("/none", "/x"), "ENOENT"],
      [() => rename("/f", "/none/x"), "ENOENT"],
      [() => remove("/d"), "EISDIR"],
      [() => remove("/"), "EISDIR"],
      [() => remove("/none"), "ENOENT"],
      [() => removeFromTree(tree, bytes("/")), "EBUSY"],
      [() => read("/../f"), "EXDEV"],
    ];
    expect(refusals.map(([call]) => errnoOf(call))).toEqual(refusals.map(([, errno]) => errno));
    expect(describeTree(tree)).toEqual(before);
  });
});

describe("links in paths", () => {
  beforeEach(() => {
    write("/real/file", "hello");
    root.makeLink("dir", "real");
    root.find("real").makeLink("up", "../real/./file");
    root.makeLink("loop", "loop");
    root.makeLink("out", "real/../../etc");
    root.makeLink("absolute", "/real");
    root.makeLink("new", "real/new");
  });

  it("are followed, to what is there and to what will be", () => {
    expect(read("/dir/up")).toBe("hello");
    expect([stat("/dir").type, stat("/dir", false).type, stat("/dir/up", false).type]).toEqual([
      "directory",
      "symlink",
      "symlink",
    ]);
    write("/new", "made");
    expect(read("/real/new")).toBe("made");
    expect(stat("/new", false).type).toBe("symlink");
  });

  it("lead neither in circles nor out of the tree", () => {
    const calls = [
      () => read("/loop"),
      () => read("/loop/x"),
      () => read("/out/passwd"),
      () => read("/absolute/file"),
    ];
    expect(calls.map(errnoOf)).toEqual(["ELOOP", "ELOOP", "EXDEV", "EXDEV"]);
    expect(stat("/out", false)).toMatchObject({ type: "symlink", size: 14 });
  });

  it("are renamed and removed themselves, also with a directory", () => {
    rename("/dir", "/moved");
    remove("/loop");
    mkdir("/d");
    rename("/moved", "/d/moved");
    removeFromTree(tree, bytes("/d"));
    expect(list("/")).toEqual(["real", "out", "absolute", "new"]);
    expect(read("/real/file")).toBe("hello");
  });
});

describe("a directory with everything in it", () => {
  it("is removed however deep it is, and its room is free", () => {
    newTree(1000);
    let folder = root.makeDirectory("deep", 0o755);
    for (let depth = 0; depth < 20_000; depth++) {
      const inner = folder.makeDirectory("d", 0o755);
      folder.close();
      folder = inner;
    }
    folder.close();
    write("/deep/file", "x".repeat(1000));
    removeFromTree(tree, bytes("/deep"));
    expect(list("/")).toEqual([]);
    const { files, freeFiles } = root.space();
    expect(files - freeFiles).toBe(1);
    write("/again", "y".repeat(1000));
  });
});
