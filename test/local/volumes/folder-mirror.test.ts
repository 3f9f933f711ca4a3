import { describe, expect, it } from "vitest";
import { FolderMirror } from "../../../src/local/volumes/folder-mirror.js";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import { deferred } from "../../../src/util/deferred.js";
import { FakeFolder } from "./fake-folder.js";

const MIB = 2 ** 20;
const READ = { read: true, write: false, truncate: false, append: false };
const WRITE = { read: false, write: true, truncate: false, append: false, exclusive: true };

/** Shows files of so many MiB as a tree that has room for some MiB. `pieces` resolves when something is about to be loaded. */
async function mirrorOf(files: Record<string, number>, roomMib: number) {
  const disk = new FakeFolder();
  for (const [name, mib] of Object.entries(files)) disk.put(name, name.repeat(mib * MIB));
  const tree = new MemoryTree({ maxBytes: roomMib * MIB });
  let mostBytes = 0;
  tree.onChange(() => {
    mostBytes = Math.max(mostBytes, tree.limits.maxBytes - tree.freeBytes);
  });
  const gate = deferred<void>();
  const user = { ready: () => gate.promise, isUnwritten: () => false, noteNames: () => {} };
  const mirror = new FolderMirror(tree, disk.handle(), user);
  await mirror.takeAll();
  const root = tree.root();
  const inode = (name: string) => {
    const node = root.find(name);
    const { inode: found } = node.stat();
    node.close();
    return found;
  };
  const load = (name: string) =>
    mirror.load(inode(name)).then(
      () => "loaded",
      (error) => error.errno,
    );
  const first = (name: string) => {
    const into = new Uint8Array(1);
    const file = root.find(name).open(READ);
    file.read(into, 0);
    file.close();
    return String.fromCharCode(into[0]!);
  };
  const takenMib = () => (tree.limits.maxBytes - tree.freeBytes) / MIB;
  return { disk, tree, root, mirror, inode, load, first, takenMib, gate, mostMib: () => mostBytes / MIB };
}

describe("files of a folder that are loaded", () => {
  it("take no more memory than there is, however many are loaded at once", async () => {
    const names = ["a", "b", "c", "d", "e"];
    const { load, gate, mostMib, takenMib, tree, inode } = await mirrorOf(
      Object.fromEntries(names.map((name) => [name, 6])),
      16,
    );
    const loads = names.map(load);
    await expect.poll(takenMib).toBe(12);
    gate.resolve();
    expect(await Promise.all(loads)).toEqual(names.map(() => "loaded"));
    expect(mostMib()).toBe(12);
    expect(names.map((name) => tree.isAway(inode(name)))).toEqual([true, true, true, false, false]);
    expect(await load("a")).toBe("loaded");
  });

  it("are refused one by one when there is no room, and the others are read", async () => {
    const { load, gate, first, mirror, inode } = await mirrorOf({ a: 6, b: 6, c: 1 }, 8);
    gate.resolve();
    expect(await load("a")).toBe("loaded");
    mirror.hold(inode("a"));
    expect(await Promise.all([load("b"), load("c")])).toEqual(["ENOSPC", "loaded"]);
    expect([first("a"), first("c")]).toEqual(["a", "c"]);
    mirror.keep(inode("a"));
    expect(await load("b")).toBe("loaded");
    expect(first("b")).toBe("b");
  });

  it("leave their room to nobody who writes meanwhile", async () => {
    const { load, gate, root, takenMib } = await mirrorOf({ a: 6 }, 8);
    const loading = load("a");
    await expect.poll(takenMib).toBe(6);
    const { file, node } = root.create("w", WRITE, 0o644);
    expect(file.write(new Uint8Array(4 * MIB), 0)).toBe(2 * MIB);
    gate.resolve();
    expect(await loading).toBe("loaded");
    expect(takenMib()).toBe(8);
    file.close();
    node.close();
  });

  it("give their room back when they cannot be read to the end", async () => {
    const { load, gate, disk, takenMib, first } = await mirrorOf({ a: 6 }, 8);
    gate.reject(Object.assign(new Error("lost"), { name: "UnknownError" }));
    gate.promise.catch(() => {});
    expect(await load("a")).toBe("EIO");
    expect(takenMib()).toBe(0);
    disk.onCall = () => "NotAllowedError";
    expect(await load("a")).toBe("EACCES");
    expect(takenMib()).toBe(0);
    expect(() => first("a")).toThrow("EIO");
  });
});
