import { beforeEach, describe, expect, it } from "vitest";
import { MemoryTree, type TreeChange } from "../../../src/local/volumes/memory-tree.js";
import { at, BOTH, describeTree, errnoOf, type MemoryNode, NEW, put, WRITE } from "./tree-calls.js";

let tree: MemoryTree;
let root: MemoryNode;
/** Each look at the clock is a millisecond later. */
let nowMs: number;
beforeEach(() => {
  nowMs = 1_000;
  tree = new MemoryTree({ now: () => ++nowMs });
  root = tree.root();
});

describe("times", () => {
  const timesOf = (path: string) => {
    const { mtimeMs, ctimeMs } = at(tree, path).stat();
    return [mtimeMs, ctimeMs];
  };
  /** Returns what a call does to the times of the paths: "m" contents, "c" facts. */
  const moved = (paths: string[], call: () => unknown) => {
    const before = paths.map(timesOf);
    call();
    return paths.map((path, i) =>
      timesOf(path)
        .map((ms, j) => (ms === before[i]![j] ? "" : "mc"[j]))
        .join(""),
    );
  };

  it("of a directory are those of its entries' last change", () => {
    const folder = root.makeDirectory("d", 0o755);
    const paths = ["", "d"];
    expect(moved(paths, () => put(tree, "d/f", "hello"))).toEqual(["", "mc"]);
    expect(moved(paths, () => at(tree, "d/f").open(WRITE).write(Buffer.from("x"), 0))).toEqual(["", ""]);
    expect(moved(paths, () => folder.makeLink("l", "x"))).toEqual(["", "mc"]);
    expect(moved(paths, () => folder.makeDirectory("e", 0o755))).toEqual(["", "mc"]);
    expect(moved(paths, () => folder.rename("f", folder, "g"))).toEqual(["", "mc"]);
    expect(moved(paths, () => folder.rename("g", root, "g"))).toEqual(["mc", "mc"]);
    expect(moved(paths, () => folder.addName(at(tree, "g"), "h"))).toEqual(["", "mc"]);
    expect(moved(paths, () => folder.remove("h", "file"))).toEqual(["", "mc"]);
  });

  it("of a file move with its contents, and of facts with its names and mode", () => {
    put(tree, "f", "hello");
    const node = at(tree, "f");
    const file = node.open(BOTH);
    const change = (call: () => unknown) => moved(["f"], call)[0];
    expect(change(() => file.write(Buffer.from("x"), 0))).toBe("mc");
    expect(change(() => node.change({ size: 2 }))).toBe("mc");
    expect(change(() => node.change({ size: 2 }))).toBe("c");
    expect(change(() => node.change({ mode: 0o600 }))).toBe("c");
    expect(change(() => root.addName(node, "g"))).toBe("c");
    expect(change(() => root.remove("g", "file"))).toBe("c");
    root.rename("f", root, "moved");
    expect(node.stat().ctimeMs).toBe(nowMs);
    root.rename("moved", root, "f");
    expect(change(() => file.read(Buffer.alloc(1), 0))).toBe("");
    expect(change(() => file.write(new Uint8Array(), 0))).toBe("");
    expect(change(() => node.open({ ...WRITE, truncate: true }))).toBe("mc");
    expect(change(() => node.open({ ...WRITE, truncate: true }))).toBe("mc");
    root.makeDirectory("d", 0o755);
    expect(moved(["d"], () => at(tree, "d").change({ atimeMs: 7 }))).toEqual(["c"]);
  });

  it("can be set, except that of the last access, which is not kept", () => {
    put(tree, "f", "hello");
    at(tree, "f").change({ mtimeMs: 123, atimeMs: 456, size: 3 });
    expect(at(tree, "f").stat()).toMatchObject({ mtimeMs: 123, atimeMs: 123, ctimeMs: nowMs });
  });
});

describe("changes", () => {
  it("are reported as plain data", () => {
    const changes: TreeChange[] = [];
    const stop = tree.onChange((change) => changes.push(structuredClone(change)));
    put(tree, "f", "hello");
    const folder = root.makeDirectory("d", 0o755);
    folder.makeLink("l", "f");
    root.addName(at(tree, "f"), "g");
    at(tree, "f").change({ size: 2, mode: 0o600, mtimeMs: 5 });
    root.rename("f", folder, "f");
    root.remove("g", "file");
    stop();
    put(tree, "unseen", "");
    expect(changes.map((change) => ({ ...change, atMs: undefined }))).toEqual([
      { type: "made", inode: 2, kind: "file", mode: 0o644, parent: 1, name: "f" },
      { type: "written", inode: 2, at: 0, bytes: new Uint8Array(Buffer.from("hello")) },
      { type: "made", inode: 3, kind: "directory", mode: 0o755, parent: 1, name: "d" },
      { type: "made", inode: 4, kind: "link", mode: 0o777, target: "f", parent: 3, name: "l" },
      { type: "linked", inode: 2, parent: 1, name: "g" },
      { type: "resized", inode: 2, size: 2 },
      { type: "changed", inode: 2, mode: 0o600, mtimeMs: 5 },
      { type: "renamed", inode: 2, parent: 1, name: "f", newParent: 3, newName: "f" },
      { type: "removed", inode: 2, parent: 1, name: "g" },
    ]);
  });

  it("hold the bytes that were written, and nothing else of their buffer", () => {
    const { file } = root.create("f", NEW, 0o644);
    const changes: TreeChange[] = [];
    tree.onChange((change) => changes.push(change));
    const buffer = Buffer.alloc(1000, "x");
    file.write(buffer.subarray(10, 15), 0);
    buffer.fill("y");
    const [written] = changes;
    expect(written).toMatchObject({ bytes: new Uint8Array(Buffer.from("xxxxx")) });
    expect(written?.type === "written" && written.bytes.buffer.byteLength).toBe(5);
  });

  it("of a file without a name are nobody else's", () => {
    put(tree, "f", "hello");
    const node = at(tree, "f");
    root.remove("f", "file");
    const changes: TreeChange[] = [];
    tree.onChange((change) => changes.push(change));
    node.open(BOTH).write(Buffer.from("x"), 0);
    node.change({ mode: 0o600, size: 0 });
    expect(changes).toEqual([]);
    expect(MemoryTree.load(tree.dump()).root().list()).toEqual([]);
  });

  it("of a refused call are none", () => {
    put(tree, "f", "hello");
    const changes: TreeChange[] = [];
    tree.onChange((change) => changes.push(change));
    const calls = [
      () => root.create("f", NEW, 0o644),
      () => root.change({ mode: 0o700, size: 5 }),
      () => at(tree, "f").change({ mode: 0o700, size: -1 }),
      () => root.remove("f", "directory"),
    ];
    for (const call of calls) expect(errnoOf(call)).toBeDefined();
    expect(changes).toEqual([]);
  });

  it("that do not fit are ESTALE and change nothing", () => {
    put(tree, "f", "hello");
    root.makeDirectory("d", 0o755).makeDirectory("e", 0o755);
    root.addName(at(tree, "f"), "g");
    const before = describeTree(tree);
    const atMs = 1;
    const unfit: TreeChange[] = [
      { type: "made", inode: 2, kind: "file", mode: 0, parent: 1, name: "x", atMs },
      { type: "made", inode: 9, kind: "file", mode: 0, parent: 1, name: "f", atMs },
      { type: "made", inode: 9, kind: "file", mode: 0, parent: 2, name: "x", atMs },
      { type: "linked", inode: 9, parent: 1, name: "x", atMs },
      { type: "removed", inode: 9, parent: 1, name: "f", atMs },
      { type: "removed", inode: 3, parent: 1, name: "d", atMs },
      { type: "renamed", inode: 3, parent: 1, name: "d", newParent: 4, newName: "x", atMs },
      { type: "renamed", inode: 2, parent: 1, name: "f", newParent: 1, newName: "g", atMs },
      { type: "renamed", inode: 2, parent: 1, name: "f", newParent: 1, newName: "d", atMs },
      { type: "written", inode: 1, at: 0, bytes: new Uint8Array(1), atMs },
      { type: "resized", inode: 9, size: 0, atMs },
      { type: "changed", inode: 9, atMs },
    ];
    expect(unfit.map((change) => errnoOf(() => tree.apply(change)))).toEqual(unfit.map(() => "ESTALE"));
    expect(describeTree(tree)).toEqual(before);
  });

  it("make copies, and copies of copies", () => {
    const copy = new MemoryTree({ now: () => 1_001 });
    const second = MemoryTree.load(structuredClone(tree.dump()));
    tree.onChange((change) => copy.apply(structuredClone(change)));
    copy.onChange((change) => second.apply(structuredClone(change)));
    put(tree, "f", Buffer.alloc(300_000, "x"));
    root.makeDirectory("d", 0o755).addName(at(tree, "f"), "g");
    root.change({ mode: 0o700 });
    expect(describeTree(copy)).toEqual(describeTree(tree));
    expect(describeTree(second)).toEqual(describeTree(tree));
  });
});
