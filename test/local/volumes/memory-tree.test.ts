import { beforeEach, describe, expect, it } from "vitest";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import {
  ANY,
  at,
  contentsOf,
  describeTree,
  errnoOf,
  type MemoryNode,
  put,
  text,
  WRITE,
} from "./tree-calls.js";

let tree: MemoryTree;
let root: MemoryNode;
beforeEach(() => {
  tree = new MemoryTree();
  root = tree.root();
});

const names = (node: MemoryNode) => node.list().map(({ name }) => name);

describe("an entry of a directory", () => {
  it("is found by its name, listed without . and .., and is the same file for both", () => {
    put(tree, "a.txt", "hello");
    root.makeDirectory("src", 0o755);
    root.makeLink("latest", "a.txt");
    expect(root.list()).toEqual([
      { name: "a.txt", kind: "file", device: 0, inode: 2 },
      { name: "src", kind: "directory", device: 0, inode: 3 },
      { name: "latest", kind: "link", device: 0, inode: 4 },
    ]);
    expect(at(tree, "a.txt").stat()).toMatchObject({
      kind: "file",
      inode: 2,
      size: 5,
      links: 1,
      mode: 0o644,
    });
    expect(text(tree, "a.txt")).toBe("hello");
    expect(at(tree, "latest").target()).toBe("a.txt");
  });

  it("has a name of any bytes, up to 255 of them", () => {
    const name = "\xff\x01 \xe9".repeat(63).padEnd(255, "x");
    put(tree, name, "1");
    expect(names(root)).toEqual([name]);
    const long = `${name}x`;
    const folder = root.makeDirectory("d", 0o755);
    const errors = [
      () => root.find(long),
      () => root.create(long, ANY, 0o644),
      () => root.makeDirectory(long, 0o755),
      () => root.makeLink(long, "x"),
      () => root.addName(at(tree, name), long),
      () => root.rename(name, folder, long),
      () => root.remove(long, "file"),
    ].map(errnoOf);
    expect(new Set(errors)).toEqual(new Set(["ENAMETOOLONG"]));
  });

  it("is not there: ENOENT; what should have it is no directory: ENOTDIR", () => {
    put(tree, "f", "");
    const calls = (node: MemoryNode) => [
      () => node.find("x"),
      () => node.remove("x", "file"),
      () => node.remove("x", "directory"),
      () => node.rename("x", root, "y"),
    ];
    expect(calls(root).map(errnoOf)).toEqual(Array(4).fill("ENOENT"));
    const file = at(tree, "f");
    expect(calls(file).map(errnoOf)).toEqual(Array(4).fill("ENOTDIR"));
    expect(
      [
        () => file.list(),
        () => file.create("x", ANY, 0),
        () => file.makeDirectory("x", 0),
        () => file.makeLink("x", "y"),
        () => root.rename("f", file, "y"),
      ].map(errnoOf),
    ).toEqual(Array(5).fill("ENOTDIR"));
  });
});

describe("links", () => {
  it("symbolic ones have a target of 1 to 4095 bytes, of any kind, and no mode of their own", () => {
    const target = `/${"\xff/".repeat(2047)}`;
    const link = root.makeLink("l", target);
    expect(link.target()).toBe(target);
    expect(link.stat()).toMatchObject({ kind: "link", size: 4095, mode: 0o777 });
    expect(errnoOf(() => root.makeLink("m", `${target}x`))).toBe("ENAMETOOLONG");
    expect(errnoOf(() => root.makeLink("m", ""))).toBe("ENOENT");
    expect(errnoOf(() => link.change({ mode: 0o600 }))).toBe("EOPNOTSUPP");
    expect(errnoOf(() => root.target())).toBe("EINVAL");
    link.change({ mtimeMs: 5 });
    expect(link.stat().mtimeMs).toBe(5);
  });

  it("hard ones are the same file, until the last is removed", () => {
    put(tree, "a", "hello");
    const folder = root.makeDirectory("d", 0o755);
    folder.addName(at(tree, "a"), "b");
    at(tree, "d/b").open(WRITE).write(Buffer.from("J"), 0);
    expect(text(tree, "a")).toBe("Jello");
    expect(at(tree, "a").stat()).toEqual(at(tree, "d/b").stat());
    expect(at(tree, "a").stat().links).toBe(2);
    root.remove("a", "file");
    expect(at(tree, "d/b").stat().links).toBe(1);
    expect(text(tree, "d/b")).toBe("Jello");
  });

  it("hard ones: not of directories, not over others, not of other volumes, at most 65,000 of a file", () => {
    put(tree, "a", "");
    put(tree, "b", "");
    const folder = root.makeDirectory("d", 0o755);
    const file = at(tree, "a");
    expect(errnoOf(() => root.addName(folder, "e"))).toBe("EPERM");
    expect(errnoOf(() => root.addName(file, "b"))).toBe("EEXIST");
    expect(errnoOf(() => new MemoryTree().root().addName(file, "a"))).toBe("EXDEV");
    for (let i = 1; i < 65_000; i++) folder.addName(file, String(i));
    expect(errnoOf(() => folder.addName(file, "more"))).toBe("EMLINK");
    expect(file.stat().links).toBe(65_000);
    expect(at(tree, "d/64999").stat().inode).toBe(file.stat().inode);
  });

  it("to a symbolic link are links to it, not to its target", () => {
    const link = root.makeLink("l", "nowhere");
    root.addName(link, "m");
    expect(at(tree, "m").target()).toBe("nowhere");
    expect(link.stat().links).toBe(2);
  });
});

describe("a directory", () => {
  it("has a link for itself, one for its name and one for each directory in it", () => {
    const folder = root.makeDirectory("d", 0o755);
    expect([root.stat().links, folder.stat().links]).toEqual([3, 2]);
    folder.makeDirectory("e", 0o755);
    put(tree, "d/f", "");
    expect(folder.stat().links).toBe(3);
    folder.rename("e", root, "e");
    expect([root.stat().links, folder.stat().links]).toEqual([4, 2]);
    root.rename("e", root, "g");
    expect(root.stat().links).toBe(4);
    folder.remove("f", "file");
    root.remove("d", "directory");
    expect([root.stat().links, folder.stat().links]).toEqual([3, 0]);
  });

  it("is removed when it is empty, as a directory, and a file as a file", () => {
    root.makeDirectory("d", 0o755).makeDirectory("e", 0o755);
    put(tree, "f", "");
    expect(errnoOf(() => root.remove("d", "directory"))).toBe("ENOTEMPTY");
    expect(errnoOf(() => root.remove("d", "file"))).toBe("EISDIR");
    expect(errnoOf(() => root.remove("f", "directory"))).toBe("ENOTDIR");
    expect(errnoOf(() => root.makeDirectory("f", 0o755))).toBe("EEXIST");
    at(tree, "d").remove("e", "directory");
    root.remove("d", "directory");
    expect(names(root)).toEqual(["f"]);
  });

  it("that was removed while somebody is in it is empty and gets no entries", () => {
    const folder = root.makeDirectory("d", 0o755);
    put(tree, "f", "");
    root.remove("d", "directory");
    expect(folder.list()).toEqual([]);
    const errors = [
      () => folder.find("x"),
      () => folder.create("x", ANY, 0o644),
      () => folder.makeDirectory("x", 0o755),
      () => folder.makeLink("x", "y"),
      () => folder.addName(at(tree, "f"), "x"),
      () => root.rename("f", folder, "x"),
    ].map(errnoOf);
    expect(errors).toEqual(Array(6).fill("ENOENT"));
    folder.change({ mode: 0o700 });
    expect(folder.stat()).toMatchObject({ links: 0, mode: 0o700 });
    expect(names(root)).toEqual(["f"]);
  });
});

describe("rename", () => {
  beforeEach(() => {
    put(tree, "a", "A");
    put(tree, "b", "B");
    root.makeDirectory("d", 0o755).makeDirectory("e", 0o755);
    root.makeDirectory("empty", 0o755);
  });

  it("replaces a file with a file, which stays open for those who have it", () => {
    const replaced = at(tree, "b");
    root.rename("a", root, "b");
    expect(names(root)).toEqual(["d", "empty", "b"]);
    expect(text(tree, "b")).toBe("A");
    expect(contentsOf(replaced)).toBe("B");
    expect(replaced.stat().links).toBe(0);
  });

  it("replaces a link, not its target, and a file with a link", () => {
    root.makeLink("l", "a");
    root.rename("b", root, "l");
    expect([text(tree, "l"), text(tree, "a")]).toEqual(["B", "A"]);
    root.makeLink("m", "x");
    root.rename("m", root, "a");
    expect(at(tree, "a").target()).toBe("x");
  });

  it("replaces an empty directory with a directory, and no other", () => {
    expect(errnoOf(() => root.rename("empty", root, "d"))).toBe("ENOTEMPTY");
    expect(errnoOf(() => root.rename("a", root, "empty"))).toBe("EISDIR");
    expect(errnoOf(() => root.rename("d", root, "a"))).toBe("ENOTDIR");
    root.rename("d", root, "empty");
    expect(names(root)).toEqual(["a", "b", "empty"]);
    expect(names(at(tree, "empty"))).toEqual(["e"]);
    expect(root.stat().links).toBe(3);
  });

  it("moves a directory neither into itself nor over one that it is in", () => {
    const before = describeTree(tree);
    expect(errnoOf(() => root.rename("d", at(tree, "d"), "x"))).toBe("EINVAL");
    expect(errnoOf(() => root.rename("d", at(tree, "d/e"), "x"))).toBe("EINVAL");
    expect(errnoOf(() => at(tree, "d").rename("e", root, "d"))).toBe("ENOTEMPTY");
    put(tree, "d/e/f", "");
    expect(errnoOf(() => at(tree, "d/e").rename("f", root, "d"))).toBe("ENOTEMPTY");
    at(tree, "d/e").remove("f", "file");
    expect(describeTree(tree).map((line) => line.split(" ")[0])).toEqual(
      before.map((line) => line.split(" ")[0]),
    );
  });

  it("does nothing onto itself, or onto another name of the same file", () => {
    root.addName(at(tree, "a"), "other");
    const before = describeTree(tree);
    root.rename("a", root, "other");
    root.rename("a", root, "a");
    root.rename("d", root, "d");
    expect(describeTree(tree)).toEqual(before);
  });

  it("is EXDEV into another volume", () => {
    expect(errnoOf(() => root.rename("a", new MemoryTree().root(), "a"))).toBe("EXDEV");
    expect(text(tree, "a")).toBe("A");
  });

  it("moves a directory with all that is in it", () => {
    put(tree, "d/e/f", "F");
    const inside = at(tree, "d/e");
    root.rename("d", at(tree, "empty"), "moved");
    expect(text(tree, "empty/moved/e/f")).toBe("F");
    expect(errnoOf(() => root.rename("empty", inside, "x"))).toBe("EINVAL");
  });
});

describe("inode numbers", () => {
  it("count from 1 and are never used twice, in a loaded tree neither", () => {
    put(tree, "a", "");
    put(tree, "b", "");
    root.remove("b", "file");
    put(tree, "c", "");
    expect([root, at(tree, "a"), at(tree, "c")].map((node) => node.stat().inode)).toEqual([1, 2, 4]);
    root.remove("c", "file");
    const loaded = MemoryTree.load(tree.dump());
    put(loaded, "d", "");
    expect(at(loaded, "d").stat().inode).toBe(5);
  });
});
