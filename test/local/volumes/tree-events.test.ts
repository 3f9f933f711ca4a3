import { beforeEach, describe, expect, it } from "vitest";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import { watchTree } from "../../../src/local/volumes/tree-events.js";
import { at, errnoOf, put, WRITE } from "./tree-calls.js";

let tree: MemoryTree;
let events: string[];
let stop: () => void;
beforeEach(() => {
  tree = new MemoryTree();
  put(tree, "old", "");
  tree.root().makeDirectory("d", 0o755).makeDirectory("e", 0o755);
  put(tree, "d/e/deep", "");
  events = [];
  stop = watchTree(tree, (event) => {
    events.push(`${event.type} ${event.path}${event.type === "renamed" ? ` ${event.to}` : ""}`);
  });
});
/** Returns what has been seen since the last time. */
const seen = () => events.splice(0);

describe("who watches a tree", () => {
  it("sees what is created, changed and removed, by its path", () => {
    put(tree, "d/new", "text");
    expect(seen()).toEqual(["created /d/new", "changed /d/new"]);
    at(tree, "d/e/deep").change({ size: 5 });
    expect(seen()).toContain("changed /d/e/deep");
    tree.root().change({ mode: 0o700 });
    expect(seen()).toEqual(["changed /"]);
    tree.root().makeLink("l", "d/new");
    at(tree, "d").remove("new", "file");
    at(tree, "d").makeDirectory("f", 0o755);
    at(tree, "d").remove("f", "directory");
    expect(seen()).toEqual(["created /l", "removed /d/new", "created /d/f", "removed /d/f"]);
  });

  it("sees what is renamed, and changes in it by its new path", () => {
    const root = tree.root();
    at(tree, "d").rename("e", root, "moved");
    at(tree, "moved/deep").open(WRITE).write(Buffer.from("x"), 0);
    at(tree, "moved").rename("deep", root, "old");
    at(tree, "old").open(WRITE).write(Buffer.from("y"), 0);
    expect(seen()).toEqual([
      "renamed /d/e /moved",
      "changed /moved/deep",
      "renamed /moved/deep /old",
      "changed /old",
    ]);
  });

  it("sees a file under each of its names", () => {
    const file = at(tree, "old");
    at(tree, "d/e").addName(file, "other");
    file.open(WRITE).write(Buffer.from("x"), 0);
    tree.root().remove("old", "file");
    file.open(WRITE).write(Buffer.from("y"), 0);
    expect(seen()).toEqual([
      "created /d/e/other",
      "changed /old",
      "changed /d/e/other",
      "removed /old",
      "changed /d/e/other",
    ]);
    tree.root().addName(file, "third");
    tree.root().rename("d", tree.root(), "moved");
    at(tree, "moved/e").rename("deep", at(tree, "moved/e"), "other");
    seen();
    file.open(WRITE).write(Buffer.from("z"), 0);
    expect(seen()).toEqual(["changed /third"]);
  });

  it("sees what changes under too long a path as an overflow of the directories above", () => {
    const name = "n".repeat(250);
    let folder = at(tree, "d/e");
    for (let depth = 0; depth < 20; depth++) folder = folder.makeDirectory(name, 0o755);
    const made = seen();
    const whole = made.filter((event) => event.startsWith("created"));
    expect(whole).toHaveLength(16);
    const overflow = `overflow ${whole.at(-1)!.slice("created ".length)}`;
    expect(made.slice(16)).toEqual(Array(4).fill(overflow));
    tree.root().rename("old", folder, "gone");
    expect(seen()).toEqual(["removed /old", overflow, overflow]);
    folder.rename("gone", tree.root(), "back");
    expect(seen()).toEqual([overflow, "created /back", "overflow /back"]);
    tree.root().rename("d", tree.root(), "moved");
    expect(seen()).toEqual(["renamed /d /moved"]);
  });

  it("sees nothing of files without a name, of refused calls, and after the end", () => {
    const file = at(tree, "old");
    tree.root().remove("old", "file");
    seen();
    file.open(WRITE).write(Buffer.from("x"), 0);
    expect(errnoOf(() => tree.root().remove("d", "directory"))).toBe("ENOTEMPTY");
    expect(seen()).toEqual([]);
    stop();
    put(tree, "late", "");
    expect(seen()).toEqual([]);
  });
});
