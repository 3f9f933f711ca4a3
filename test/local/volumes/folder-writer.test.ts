import { describe, expect, it, onTestFinished, vi } from "vitest";
import { FolderStore } from "../../../src/local/volumes/folder-store.js";
import type { MemoryNode } from "../../../src/local/volumes/memory-nodes.js";
import { FakeFolder } from "./fake-folder.js";

/** Shows a folder as a tree, whose changes are written when `flush` is called. */
async function open(files: Record<string, string>) {
  const disk = new FakeFolder();
  for (const [path, text] of Object.entries(files)) disk.put(path, text);
  const store = new FolderStore(disk.handle());
  await store.mirror.takeAll();
  onTestFinished(() => store.close());
  const { tree } = store.mirror;
  return { disk, store, tree, root: tree.root(), flush: () => store.flush() };
}

function at(root: MemoryNode, path: string): MemoryNode {
  let node = root;
  for (const name of path.split("/")) node = node.find(name);
  return node;
}

function write(folder: MemoryNode, name: string, text: string): void {
  const flags = { read: false, write: true, truncate: true, append: false, exclusive: false };
  const { node, file } = folder.create(name, flags, 0o644);
  file.write(new TextEncoder().encode(text), 0);
  file.close();
  node.close();
}

function remove(folder: MemoryNode, name: string): void {
  const node = folder.find(name);
  const { kind } = node;
  if (kind === "directory") for (const entry of node.list()) remove(node, entry.name);
  node.close();
  folder.remove(name, kind === "directory" ? "directory" : "file");
}

describe("a directory that takes the place of another one", () => {
  it("keeps what is written into it", async () => {
    const { disk, root, flush } = await open({ "D/f": "old" });
    remove(root, "D");
    write(root.makeDirectory("D", 0o755), "f", "new");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ "D/f": "new" });
  });

  it("has nothing of what was in that, however deep", async () => {
    const { disk, root, store, flush } = await open({ "D/f": "1", "D/e/g": "2", "D/e/h": "3", "D/k/l": "4" });
    remove(root, "D");
    const made = root.makeDirectory("D", 0o755);
    write(made, "new", "5");
    write(made.makeDirectory("e", 0o755), "g", "6");
    write(made, "k", "7");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ "D/new": "5", "D/e/g": "6", "D/k": "7" });
    await store.mirror.takeAll();
    expect(
      made
        .list()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["e", "k", "new"]);
  });

  it("leaves what was in that to its new name", async () => {
    const { disk, root, flush } = await open({ "dist/a": "old", "dist/b/c": "c" });
    root.rename("dist", root, "dist.old");
    write(root.makeDirectory("dist", 0o755), "a", "new");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ "dist/a": "new", "dist.old/a": "old", "dist.old/b/c": "c" });
  });

  it("may have changed places with it", async () => {
    const { disk, root, flush } = await open({ "a/x": "1", "a/s/y": "2", "b/x": "3", "b/s/z": "4" });
    remove(at(root, "a"), "x");
    root.rename("a", root, "tmp");
    root.rename("b", root, "a");
    root.rename("tmp", root, "b");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ "b/s/y": "2", "a/x": "3", "a/s/z": "4" });
  });

  it("may come while the other one is written", async () => {
    const { disk, root, flush } = await open({ "D/f": "1", a: "text" });
    root.rename("a", root, "b");
    disk.onCall = (call, name) => {
      if (call !== "getFile" || name !== "a") return;
      remove(root, "D");
      root.makeDirectory("D", 0o755);
    };
    await flush();
    disk.onCall = () => undefined;
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ D: null, b: "text" });
  });

  it("may have been in it", async () => {
    const { disk, root, flush } = await open({ "D/e/e/x": "1", "D/e/y": "2" });
    root.rename("D", root, "tmp");
    at(root, "tmp").rename("e", root, "D");
    root.remove("tmp", "directory");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ "D/e/x": "1", "D/y": "2" });
  });
});

describe("the old place of something", () => {
  it.each(["TypeError", "QuotaExceededError"])(
    "stays while the directory of its new one cannot be made: %s",
    async (refusal) => {
      const { disk, root, flush } = await open({ "src/a": "1", "src/b/c": "2", "src/b/gone": "3" });
      remove(at(root, "src/b"), "gone");
      root.rename("src", root.makeDirectory("aux", 0o755), "src");
      disk.onCall = (call, name) => (call === "create" && name === "aux" ? refusal : undefined);
      for (let times = 0; times < 2; times++) {
        expect(await flush()).toMatchObject([{ name: "aux" }]);
        expect(disk.list()).toMatchObject({ "src/a": "1", "src/b/c": "2" });
      }
      disk.onCall = () => undefined;
      expect(await flush()).toEqual([]);
      expect(disk.list()).toEqual({ "aux/src/a": "1", "aux/src/b/c": "2" });
    },
  );

  it("stays until its contents are in the new one, however often that fails", async () => {
    const { disk, root, flush } = await open({ a: "precious" });
    root.rename("a", root, "b");
    disk.onCall = (call) => (call === "createWritable" ? "QuotaExceededError" : undefined);
    for (let times = 0; times < 3; times++) {
      expect(await flush()).toMatchObject([{ name: "b", error: { errno: "ENOSPC" } }]);
      expect(disk.list()).toEqual({ a: "precious", b: "" });
    }
    disk.onCall = () => undefined;
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ b: "precious" });
  });

  it("is not read any more when it cannot be removed, and somebody changes it", async () => {
    const { disk, root, store, flush } = await open({ a: "text" });
    root.rename("a", root, "b");
    disk.onCall = (call) => (call === "removeEntry" ? "NoModificationAllowedError" : undefined);
    expect(await flush()).toMatchObject([{ error: { errno: "EBUSY" } }]);
    disk.put("a", "");
    await store.mirror.takeAll();
    expect(root.find("b").stat().size).toBe(4);
    root.rename("b", root, "c");
    disk.onCall = () => undefined;
    await flush();
    expect(disk.list()).toEqual({ c: "text" });
  });

  it("may become the new one again before it was removed", async () => {
    const { disk, root, flush } = await open({ a: "old", "d/x": "old" });
    root.rename("a", root, "b");
    root.rename("d", root, "e");
    disk.onCall = (call) => (call === "removeEntry" ? "NoModificationAllowedError" : undefined);
    await flush();
    write(root, "b", "new");
    write(at(root, "e"), "x", "new");
    root.rename("b", root, "a");
    root.rename("e", root, "d");
    disk.onCall = () => undefined;
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ a: "new", "d/x": "new" });
  });

  it("stays with what could not be removed from it, which is tried again", async () => {
    const { disk, root, flush } = await open({ "d/a": "1", "d/b": "2" });
    remove(root, "d");
    disk.onCall = (call, name) => (call === "removeEntry" && name === "a" ? "NotAllowedError" : undefined);
    expect(await flush()).toMatchObject([{ name: "a", error: { errno: "EACCES" } }]);
    expect(disk.list()).toEqual({ "d/a": "1" });
    disk.onCall = () => undefined;
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({});
  });
});

describe("a file that cannot be read", () => {
  /** Makes a change while nothing of a folder can be read, and returns what it has then, and what once it can be. */
  async function whileUnreadable(files: Record<string, string>, change: (root: MemoryNode) => void) {
    const { disk, root, flush } = await open(files);
    change(root);
    disk.onCall = (call, name) => (call === "getFile" && name === "a" ? "NotAllowedError" : undefined);
    const failures = await flush();
    expect(failures.map(({ error }) => error.errno)).toContain("EACCES");
    const before = disk.list();
    disk.onCall = () => undefined;
    expect(await flush()).toEqual([]);
    return [before, disk.list()];
  }

  it("stays when only the letters of its name change", async () => {
    const states = await whileUnreadable({ a: "text" }, (root) => root.rename("a", root, "A"));
    expect(states).toEqual([{ a: "text" }, { A: "text" }]);
  });

  it("stays when a directory gets its name, or its directory's name becomes a file's", async () => {
    const toFolder = await whileUnreadable({ a: "text" }, (root) => {
      root.rename("a", root, "b");
      write(root.makeDirectory("a", 0o755), "in", "1");
    });
    expect(toFolder).toEqual([{ a: "text" }, { "a/in": "1", b: "text" }]);
    const toFile = await whileUnreadable({ "d/a": "text", "d/c": "c" }, (root) => {
      root.rename("d", root, "e");
      write(root, "d", "file");
    });
    expect(toFile).toEqual([
      { "d/a": "text", "d/c": "c", "e/c": "c" },
      { d: "file", "e/a": "text", "e/c": "c" },
    ]);
  });

  it("stays when another file gets its name", async () => {
    const states = await whileUnreadable({ a: "text", "d/a": "deep" }, (root) => {
      root.rename("a", root, "b");
      write(root, "a", "new");
      root.rename("d", root, "e");
      write(root.makeDirectory("d", 0o755), "a", "new");
    });
    expect(states[0]).toEqual({ a: "text", "d/a": "deep", e: null });
    expect(states[1]).toEqual({ a: "new", b: "text", "d/a": "new", "e/a": "deep" });
  });
});

describe("names that differ in letters only", () => {
  async function folding(files: Record<string, string>) {
    const opened = await open(files);
    opened.disk.isFolding = true;
    return opened;
  }

  it("are not written over each other where they are one", async () => {
    const { disk, root, flush } = await folding({ Makefile: "theirs", "Src/a": "1" });
    write(root, "makefile", "mine");
    write(root.makeDirectory("src", 0o755), "a", "2");
    for (let times = 0; times < 2; times++) {
      expect(await flush()).toMatchObject([
        { name: "makefile", error: { errno: "EEXIST" } },
        { name: "src", error: { errno: "EEXIST" } },
      ]);
      expect(disk.list()).toEqual({ Makefile: "theirs", "Src/a": "1" });
    }
    remove(root, "makefile");
    remove(root, "src");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ Makefile: "theirs", "Src/a": "1" });
  });

  it("are not written over each other in a directory that is new", async () => {
    const { disk, root, flush } = await folding({});
    const made = root.makeDirectory("d", 0o755);
    write(made, "A", "first");
    write(made, "a", "second");
    expect(await flush()).toMatchObject([{ name: "a", error: { errno: "EEXIST" } }]);
    expect(disk.list()).toEqual({ "d/A": "first" });
    remove(made, "A");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ "d/a": "second" });
  });

  it("are changed by a rename, also of a directory", async () => {
    const { disk, root, flush } = await folding({ readme: "text", "src/a": "1" });
    root.rename("readme", root, "README");
    root.rename("src", root, "Src");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ README: "text", "Src/a": "1" });
  });

  it("are two files where the system tells them apart", async () => {
    const { disk, root, flush } = await open({ Makefile: "1", both: "2", BOTH: "3" });
    write(root, "makefile", "4");
    write(root, "new", "5");
    root.rename("new", root, "both");
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({ Makefile: "1", makefile: "4", both: "5", BOTH: "3" });
  });
});

describe("what cannot be written", () => {
  it("is tried again after seconds, and not all the time, when it is a file in a directory that cannot be made", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { disk, root } = await open({});
    disk.onCall = (call) => (call === "create" ? "NotAllowedError" : undefined);
    write(root.makeDirectory("d", 0o755), "f", "text");
    await vi.advanceTimersByTimeAsync(4500);
    expect(disk.calls.create).toBeLessThan(5);
    disk.onCall = () => undefined;
    await vi.advanceTimersByTimeAsync(6000);
    expect(disk.list()).toEqual({ "d/f": "text" });
  });
});

describe("a pass", () => {
  it("leaves a file as it is that is removed while it is written", async () => {
    const { disk, root, flush } = await open({ a: "old" });
    write(root, "a", "x".repeat(3 * 2 ** 20));
    disk.onCall = (call) => {
      if (call === "write" && disk.calls.write === 2) remove(root, "a");
    };
    await flush();
    expect(disk.list()).toEqual({ a: "old" });
    expect(await flush()).toEqual([]);
    expect(disk.list()).toEqual({});
  });

  it.each(["createWritable", "removeEntry"])("ends when the folder is given up, after %s", async (last) => {
    const { disk, root, store, flush } = await open({ "d/x": "1", "d/y": "2" });
    write(root, "a", "1");
    write(root, "b", "2");
    remove(root, "d");
    disk.onCall = (call) => {
      if (call === last) store.close();
    };
    await flush();
    const { createWritable, removeEntry } = disk.calls;
    expect([createWritable, removeEntry]).toEqual(last === "removeEntry" ? [2, 1] : [1, undefined]);
    await flush();
    expect(disk.calls).toMatchObject({ createWritable });
    expect(disk.calls.removeEntry).toBe(removeEntry);
  });
});
