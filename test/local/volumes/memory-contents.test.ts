import { beforeEach, describe, expect, it } from "vitest";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import {
  ANY,
  at,
  BOTH,
  contentsOf,
  errnoOf,
  type MemoryNode,
  NEW,
  put,
  READ,
  text,
  WRITE,
} from "./tree-calls.js";

const MIB = 2 ** 20;

let tree: MemoryTree;
let root: MemoryNode;
const newTree = (limits: { maxBytes?: number; maxFiles?: number } = {}) => {
  tree = new MemoryTree(limits);
  root = tree.root();
};
beforeEach(() => newTree());

const names = (node: MemoryNode) => node.list().map(({ name }) => name);

describe("a file that is created", () => {
  it("must not exist with O_EXCL, and is opened without it, as it is", () => {
    put(tree, "f", "hello", 0o600);
    expect(errnoOf(() => root.create("f", NEW, 0o644))).toBe("EEXIST");
    const { node, file } = root.create("f", ANY, 0o755);
    expect(node.stat()).toMatchObject({ inode: 2, mode: 0o600, size: 5 });
    file.write(Buffer.from("J"), 0);
    expect(text(tree, "f")).toBe("Jello");
    root.create("f", { ...ANY, truncate: true }, 0o644);
    expect(text(tree, "f")).toBe("");
  });

  it("is refused where there is a directory or a link, which is not followed", () => {
    root.makeDirectory("d", 0o755).close();
    root.makeLink("l", "nowhere").close();
    expect(errnoOf(() => root.create("d", ANY, 0o644))).toBe("EISDIR");
    expect(errnoOf(() => root.create("l", ANY, 0o644))).toBe("ELOOP");
    expect(names(root)).toEqual(["d", "l"]);
    const { freeFiles } = root.space();
    root.remove("d", "directory");
    expect(root.space().freeFiles).toBe(freeFiles + 1);
  });

  it("has no setuid and setgid bits, nor has a directory, nor after chmod", () => {
    put(tree, "f", "", 0o7755);
    root.makeDirectory("d", 0o7777);
    expect(at(tree, "f").stat().mode).toBe(0o1755);
    expect(at(tree, "d").stat().mode).toBe(0o1777);
    at(tree, "f").change({ mode: 0o6711 });
    expect(at(tree, "f").stat()).toMatchObject({ mode: 0o711, uid: 0, gid: 0 });
  });
});

describe("an open file", () => {
  it("is read and written only as it was opened, and not after it was closed", () => {
    put(tree, "f", "hello");
    const reader = at(tree, "f").open(READ);
    const writer = at(tree, "f").open(WRITE);
    expect(errnoOf(() => reader.write(Buffer.from("x"), 0))).toBe("EBADF");
    expect(errnoOf(() => writer.read(Buffer.alloc(1), 0))).toBe("EBADF");
    reader.close();
    reader.close();
    expect(errnoOf(() => reader.read(Buffer.alloc(1), 0))).toBe("EBADF");
    expect(text(tree, "f")).toBe("hello");
  });

  it("writes to the end of the file with O_APPEND, wherever that is by now", () => {
    put(tree, "f", "one");
    const [first, second] = [at(tree, "f").open({ ...BOTH, append: true }), at(tree, "f").open(WRITE)];
    second.write(Buffer.from(" two"), 3);
    first.write(Buffer.from(" three"), 0);
    expect(text(tree, "f")).toBe("one two three");
  });

  it("is a regular file: a directory is EISDIR, a link ELOOP", () => {
    expect(errnoOf(() => root.open(READ))).toBe("EISDIR");
    expect(errnoOf(() => root.makeLink("l", "x").open(READ))).toBe("ELOOP");
  });

  it("reads to its end and no further", () => {
    put(tree, "f", "hello");
    const file = at(tree, "f").open(READ);
    const into = Buffer.alloc(8, "?");
    expect([file.read(into, 2), into.toString()]).toEqual([3, "llo?????"]);
    expect([file.read(into, 5), file.read(into, 2 ** 40)]).toEqual([0, 0]);
  });

  it("goes on without a name: read, written, cut and closed", () => {
    put(tree, "f", "hello");
    const node = at(tree, "f");
    const file = node.open(BOTH);
    root.remove("f", "file");
    put(tree, "f", "another");
    file.write(Buffer.from(" world"), 5);
    expect(contentsOf(node)).toBe("hello world");
    node.change({ size: 4, mode: 0o600 });
    expect(contentsOf(node)).toBe("hell");
    expect(node.stat()).toMatchObject({ links: 0, size: 4, mode: 0o600 });
    expect(text(tree, "f")).toBe("another");
    expect(errnoOf(() => root.addName(node, "back"))).toBe("ENOENT");
  });

  it("stays the same file when it is renamed", () => {
    put(tree, "f", "hello");
    const file = at(tree, "f").open(BOTH);
    root.rename("f", root.makeDirectory("d", 0o755), "g");
    file.write(Buffer.from("J"), 0);
    expect(text(tree, "d/g")).toBe("Jello");
  });
});

describe("the contents of a file", () => {
  it("read as zeroes where nothing was written, and take no room there", () => {
    const { node, file } = root.create("f", NEW, 0o644);
    file.write(Buffer.from("end"), 5 * MIB);
    expect(node.stat()).toMatchObject({ size: 5 * MIB + 3, blocks: 1 });
    file.write(Buffer.from("start"), 0);
    expect(contentsOf(node)).toBe(`start${"\0".repeat(5 * MIB - 5)}end`);
    expect(node.stat().blocks).toBe(1);
  });

  it("that were cut off do not come back when the file grows", () => {
    const { node, file } = root.create("f", NEW, 0o644);
    const data = Buffer.alloc(600_000, "x");
    for (const size of [0, 1, 1000, 262_143, 262_144, 262_145, 500_000]) {
      file.write(data, 0);
      node.change({ size });
      node.change({ size: 600_001 });
      expect(contentsOf(node) === "x".repeat(size).padEnd(600_001, "\0"), `cut at ${size}`).toBe(true);
    }
  });

  it("are what was written, however it was cut in pieces", () => {
    const data = Buffer.from(Array.from({ length: 700_000 }, (_, i) => (i * 31) % 251));
    for (const step of [4096, 100_001, 131_072, 700_000]) {
      put(tree, "f", "");
      const file = at(tree, "f").open(BOTH);
      for (let offset = 0; offset < data.length; offset += step)
        file.write(data.subarray(offset, offset + step), offset);
      const back = Buffer.alloc(data.length);
      for (let offset = 0; offset < data.length; offset += 99_999)
        file.read(back.subarray(offset, offset + 99_999), offset);
      expect(back.equals(data), `in pieces of ${step}`).toBe(true);
    }
  });

  it("do not change with the buffer that they were written from", () => {
    const buffer = Buffer.from("hello");
    root.create("f", NEW, 0o644).file.write(buffer, 0);
    buffer.fill("x");
    expect(text(tree, "f")).toBe("hello");
  });

  it("end at 2 GiB - 1: what is below is written, what is beyond is EFBIG", () => {
    const end = 2 ** 31 - 1;
    const { node, file } = root.create("f", NEW, 0o644);
    expect(file.write(Buffer.from("abc"), end - 2)).toBe(2);
    expect(errnoOf(() => file.write(Buffer.from("c"), end))).toBe("EFBIG");
    expect(errnoOf(() => file.write(Buffer.from("c"), 2 ** 45))).toBe("EFBIG");
    expect(errnoOf(() => node.change({ size: end + 1 }))).toBe("EFBIG");
    expect(node.stat().size).toBe(end);
    const into = Buffer.alloc(4);
    expect([file.read(into, end - 3), into.toString()]).toEqual([3, "\0ab\0"]);
    node.change({ size: 0 });
    expect(node.stat().blocks).toBe(0);
  });

  it("have a size that is a number of bytes, and only files have one", () => {
    put(tree, "f", "hello");
    const sizes = [-1, 1.5, Number.NaN];
    expect(sizes.map((size) => errnoOf(() => at(tree, "f").change({ size })))).toEqual(
      Array(3).fill("EINVAL"),
    );
    expect(errnoOf(() => root.change({ size: 0, mode: 0 }))).toBe("EISDIR");
    expect(errnoOf(() => root.makeLink("l", "x").change({ size: 0 }))).toBe("EINVAL");
    expect(root.stat().mode).toBe(0o755);
    expect(text(tree, "f")).toBe("hello");
  });
});

describe("limits", () => {
  it("of bytes: a write takes what fits, then ENOSPC, and what was there stays", () => {
    newTree({ maxBytes: 300_000 });
    put(tree, "kept", Buffer.alloc(100_000, "k"));
    const { node, file } = root.create("f", NEW, 0o644);
    expect(file.write(Buffer.alloc(500_000, "x"), 0)).toBe(200_000);
    expect(errnoOf(() => file.write(Buffer.from("x"), 200_000))).toBe("ENOSPC");
    expect(errnoOf(() => root.makeLink("l", "x"))).toBe("ENOSPC");
    expect(root.space()).toMatchObject({ blockBytes: 4096, blocks: 73, freeBlocks: 0 });
    expect(node.stat().size).toBe(200_000);
    expect(text(tree, "kept")).toBe("k".repeat(100_000));
    // What is overwritten needs no room, nor does a hole, nor a file without contents.
    expect(file.write(Buffer.alloc(200_000, "y"), 0)).toBe(200_000);
    node.change({ size: 1_000_000 });
    root.create("empty", NEW, 0o644);
    node.change({ size: 150_000 });
    expect(file.write(Buffer.alloc(60_000, "z"), 150_000)).toBe(50_000);
    const target = "t".repeat(100);
    node.change({ size: 199_900 });
    root.makeLink("l", target).close();
    expect(errnoOf(() => root.makeLink("m", "x"))).toBe("ENOSPC");
    root.remove("l", "file");
    root.makeLink("m", target).close();
    root.remove("m", "file");
    root.remove("kept", "file");
    expect(file.write(Buffer.alloc(60_000, "z"), 200_000)).toBe(60_000);
  });

  it("of bytes: a hole in the middle of what is written takes none that there are not", () => {
    newTree({ maxBytes: 1000 });
    const { node, file } = root.create("f", NEW, 0o644);
    expect(errnoOf(() => file.write(Buffer.from("x"), 5000))).toBe("ENOSPC");
    expect(file.write(Buffer.alloc(10), 995)).toBe(5);
    expect(node.stat()).toMatchObject({ size: 1000, blocks: 2 });
  });

  it("of bytes: those of a removed file are free once nobody has it open", () => {
    newTree({ maxBytes: 1000 });
    put(tree, "f", Buffer.alloc(1000));
    const node = at(tree, "f");
    const file = node.open(READ);
    root.remove("f", "file");
    const more = root.create("g", NEW, 0o644).file;
    const write = () => more.write(Buffer.from("x"), 0);
    expect(errnoOf(write)).toBe("ENOSPC");
    node.close();
    node.close();
    expect(errnoOf(write)).toBe("ENOSPC");
    file.close();
    expect(write()).toBe(1);
    expect(errnoOf(() => node.stat())).toBe("EBADF");
  });

  it("of files: names and those that are still open count", () => {
    newTree({ maxFiles: 4 });
    put(tree, "a", "");
    root.makeDirectory("d", 0o755);
    expect(root.space()).toMatchObject({ files: 4, freeFiles: 1 });
    const opened = at(tree, "a");
    root.addName(opened, "b");
    const errors = [
      () => root.create("x", NEW, 0o644),
      () => root.makeDirectory("x", 0o755),
      () => root.makeLink("x", "y"),
      () => root.addName(opened, "x"),
    ].map(errnoOf);
    expect(errors).toEqual(Array(4).fill("ENOSPC"));
    expect(names(root)).toEqual(["a", "d", "b"]);
    root.rename("a", at(tree, "d"), "a");
    root.remove("b", "file");
    at(tree, "d").remove("a", "file");
    expect(root.space().freeFiles).toBe(1);
    opened.close();
    expect(root.space().freeFiles).toBe(2);
  });
});
