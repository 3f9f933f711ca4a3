import { describe, expect, it, onTestFinished } from "vitest";
import { FolderStore } from "../../../src/local/volumes/folder-store.js";
import { ReplicaNode } from "../../../src/local/volumes/replica-nodes.js";
import type { VolumeNode } from "../../../src/local/volumes/volume-files.js";
import { FakeFolder } from "./fake-folder.js";
import { linkReplica } from "./linked-replica.js";

const READ = { read: true, write: false, truncate: false, append: false };
const WRITE = { read: true, write: true, truncate: false, append: false };
const bytes = (text: string) => new TextEncoder().encode(text);

/** Mounts a folder, as a box does. */
async function mount(disk: FakeFolder, options?: { readonly: boolean }) {
  const store = new FolderStore(disk.handle());
  await store.mirror.takeAll();
  const { replica, end } = await linkReplica(store.original, options);
  onTestFinished(() => {
    end();
    store.close();
  });
  return { store, replica, root: ReplicaNode.root(replica) };
}

function folderWith(files: Record<string, string>): FakeFolder {
  const disk = new FakeFolder();
  for (const [path, text] of Object.entries(files)) disk.put(path, text);
  return disk;
}

async function at(root: VolumeNode, path: string): Promise<VolumeNode> {
  let node = root;
  for (const name of path.split("/")) node = await node.find(name);
  return node;
}

async function read(node: VolumeNode): Promise<string> {
  const file = await node.open(READ);
  try {
    const into = new Uint8Array(1000);
    return new TextDecoder().decode(into.subarray(0, await file.read(into, 0)));
  } finally {
    await file.close();
  }
}

async function write(folder: VolumeNode, name: string, text: string): Promise<VolumeNode> {
  const { node, file } = await folder.create(name, { ...WRITE, truncate: true, exclusive: false }, 0o644);
  await file.write(bytes(text), 0);
  await file.close();
  return node;
}

const errno = (work: () => unknown) =>
  Promise.resolve()
    .then(work)
    .then(
      () => "done",
      (error) => error.errno,
    );

describe("a folder of a page as a volume", () => {
  it("shows what is in the folder, and reads a file at its first read only", async () => {
    const disk = folderWith({ "a.txt": "hello", "d/e/f": "deep", "half.txt.crswap": "x", näme: "ü" });
    const { root } = await mount(disk);
    const names = (await root.list()).map(({ name }) => Buffer.from(name, "latin1").toString());
    expect(names.sort()).toEqual(["a.txt", "d", "näme"]);
    const file = root.find("a.txt");
    expect(file.stat()).toMatchObject({ kind: "file", size: 5, mode: 0o755 });
    expect(file.stat().mtimeMs).toBe((disk.entries.get("a.txt") as { modifiedMs: number }).modifiedMs);
    const before = disk.calls.getFile;
    expect(await read(await at(root, "d/e/f"))).toBe("deep");
    expect(await read(await at(root, "d/e/f"))).toBe("deep");
    expect(disk.calls.getFile).toBe(before! + 1);
  });

  it("writes a file whole, and what is in its way, once its fsync resolves", async () => {
    const disk = folderWith({ "d/a": "hello" });
    const { root } = await mount(disk);
    const file = await (await at(root, "d/a")).open(WRITE);
    await file.write(bytes("J"), 0);
    await file.write(bytes("y"), 4);
    await file.sync(false);
    expect(disk.list()).toEqual({ "d/a": "Jelly" });
    await (await root.makeDirectory("x", 0o755)).makeDirectory("y", 0o755);
    const made = await write(await at(root, "x/y"), "z", "new");
    const open = await made.open(WRITE);
    await open.sync(true);
    expect(disk.list()).toEqual({ "d/a": "Jelly", "x/y/z": "new" });
  });

  it("writes a file soon after it was closed, without anybody asking", async () => {
    const disk = folderWith({});
    const { root } = await mount(disk);
    await write(root, "a", "text");
    await expect.poll(() => disk.list()).toEqual({ a: "text" });
    await root.remove("a", "file");
    await expect.poll(() => disk.list()).toEqual({});
  });

  it("writes only the result of what editors and git do to replace a file", async () => {
    const disk = folderWith({ config: "old" });
    const { root, store } = await mount(disk);
    await write(root, "config.lock", "new");
    await root.rename("config.lock", root, "config");
    expect(await store.flush()).toEqual([]);
    expect(disk.list()).toEqual({ config: "new" });
    expect(disk.calls.createWritable).toBe(1);
    expect(disk.calls.removeEntry).toBeUndefined();
  });

  it("renames files and directories that nobody has read, swaps included", async () => {
    const disk = folderWith({ a: "A", b: "B", "d/one": "1", "d/e/two": "2" });
    const { root, store } = await mount(disk);
    await root.rename("a", root, "tmp");
    await root.rename("b", root, "a");
    await root.rename("tmp", root, "b");
    await root.rename("d", root, "moved");
    expect(await store.flush()).toEqual([]);
    expect(disk.list()).toEqual({ a: "B", b: "A", "moved/one": "1", "moved/e/two": "2" });
    expect(await read(await at(root, "moved/e/two"))).toBe("2");
  });

  it("changes the letters of a name where the system takes both for one", async () => {
    const disk = folderWith({ readme: "text" });
    const { root, store } = await mount(disk);
    await root.rename("readme", root, "README");
    // Once it is written, a removal of the old name would remove the new one.
    disk.onCall = (call, name) => {
      if (call === "removeEntry" && name === "readme") disk.entries.delete("README");
    };
    expect(await store.flush()).toEqual([]);
    expect(disk.list()).toEqual({ README: "text" });
  });

  it("replaces a file by a directory, and a directory by a file", async () => {
    const disk = folderWith({ f: "file", "d/x": "x" });
    const { root, store } = await mount(disk);
    await root.remove("f", "file");
    await write(await root.makeDirectory("f", 0o755), "in", "1");
    await (await at(root, "d")).remove("x", "file");
    await root.remove("d", "directory");
    await write(root, "d", "2");
    expect(await store.flush()).toEqual([]);
    expect(disk.list()).toEqual({ "f/in": "1", d: "2" });
  });

  it("keeps a removed file for the program that has it open", async () => {
    const disk = folderWith({ a: "kept" });
    const { root, store } = await mount(disk);
    const file = await root.find("a").open(READ);
    await root.remove("a", "file");
    await store.flush();
    expect(disk.list()).toEqual({});
    const into = new Uint8Array(10);
    expect(await file.read(into, 0)).toBe(4);
  });

  it("leaves alone what somebody else has put into a directory that is removed", async () => {
    const disk = folderWith({ "d/a": "1" });
    const { root, store } = await mount(disk);
    await (await at(root, "d")).remove("a", "file");
    await root.remove("d", "directory");
    disk.put("d/theirs", "keep");
    expect(await store.flush()).toEqual([]);
    expect(disk.list()).toEqual({ "d/theirs": "keep" });
    await expect.poll(() => errno(() => at(root, "d/theirs"))).toBe("done");
    expect(await read(await at(root, "d/theirs"))).toBe("keep");
  });

  it.each([
    ["createWritable", "QuotaExceededError", "ENOSPC"],
    ["write", "QuotaExceededError", "ENOSPC"],
    ["createWritable", "NotAllowedError", "EACCES"],
    ["create", "NotFoundError", "ENOENT"],
    ["create", "TypeError", "EINVAL"],
  ] as const)(
    "reports by fsync that %s failed with %s, and writes the file later",
    async (call, name, code) => {
      const disk = folderWith({ other: "x" });
      const { root, store } = await mount(disk);
      disk.onCall = (called) => (called === call ? name : undefined);
      const node = await write(root, "a", "text");
      const file = await node.open(WRITE);
      expect(await errno(() => file.sync(false))).toBe(code);
      expect(await store.flush()).toMatchObject([{ name: "a", error: { errno: code } }]);
      disk.onCall = () => undefined;
      await file.sync(false);
      expect(disk.list()).toMatchObject({ a: "text" });
    },
  );

  it("removes no old name of a file whose new one could not be written", async () => {
    const disk = folderWith({ a: "precious", other: "x" });
    const { root, store } = await mount(disk);
    await root.rename("a", root, "b");
    await root.remove("other", "file");
    disk.onCall = (call) => (call === "createWritable" ? "QuotaExceededError" : undefined);
    expect(await store.flush()).toMatchObject([{ name: "b", error: { errno: "ENOSPC" } }]);
    expect(disk.list()).toEqual({ a: "precious", b: "" });
    disk.onCall = () => undefined;
    expect(await store.flush()).toEqual([]);
    expect(disk.list()).toEqual({ b: "precious" });
  });

  it("reads a file that has been replaced, and says ESTALE of one that is gone", async () => {
    const disk = folderWith({ a: "old", b: "b" });
    const { root } = await mount(disk);
    disk.put("a", "newer");
    disk.entries.delete("b");
    expect(await read(root.find("a"))).toBe("newer".slice(0, 5));
    expect(await errno(() => read(root.find("b")))).toBe("ESTALE");
  });

  it("refuses what folders have not", async () => {
    const disk = folderWith({ "d/a": "1" });
    const { root } = await mount(disk);
    expect(await errno(() => root.makeLink("l", "a"))).toBe("EPERM");
    expect(await errno(async () => root.addName(await at(root, "d/a"), "b"))).toBe("EPERM");
    expect(await errno(() => root.makeDirectory("\xff", 0o755))).toBe("EINVAL");
    expect(await errno(() => root.makeDirectory("a.crswap", 0o755))).toBe("EINVAL");
    for (let count = 0; count < 1000; count++) disk.put(`large/${count}`, "");
    const { root: again } = await mount(disk);
    expect(await errno(() => again.rename("large", again, "moved"))).toBe("EXDEV");
    let deep = await again.makeDirectory("deep", 0o755);
    for (let depth = 0; depth < 255; depth++) deep = await deep.makeDirectory("d", 0o755);
    expect(await errno(() => deep.makeDirectory("d", 0o755))).toBe("ENAMETOOLONG");
  });

  it("writes nothing for a box that may only read", async () => {
    const disk = folderWith({ a: "text" });
    const { root } = await mount(disk, { readonly: true });
    expect(await read(root.find("a"))).toBe("text");
    expect(await errno(() => root.remove("a", "file"))).toBe("EROFS");
    await (await root.find("a").open(READ)).sync(false);
    expect(disk.calls.createWritable).toBeUndefined();
  });
});

describe("changes of a folder by others", () => {
  /** Mounts a folder, and returns also what the box would be told that others have changed. */
  async function watched(files: Record<string, string>) {
    const disk = folderWith(files);
    const mounted = await mount(disk);
    const told: string[] = [];
    mounted.replica.watchForeign((path) => told.push(path));
    const look = () => mounted.store.exclusively(() => mounted.store.mirror.takeAll());
    return { ...mounted, disk, told, look };
  }

  it("are seen, and told to the programs in the box", async () => {
    const { root, disk, told, look } = await watched({ a: "old", "d/b": "b", gone: "x", "e/f/g": "g" });
    expect(await read(root.find("a"))).toBe("old");
    disk.put("a", "newer");
    disk.put("d/new/c", "c");
    disk.entries.delete("gone");
    disk.entries.delete("e");
    await look();
    await expect.poll(() => told).toEqual(expect.arrayContaining(["/a", "/d/new", "/d/new/c", ""]));
    expect(await read(root.find("a"))).toBe("newer");
    expect(await read(await at(root, "d/new/c"))).toBe("c");
    expect(
      root
        .list()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["a", "d"]);
    told.length = 0;
    await look();
    await write(root, "own", "x");
    expect(told).toEqual([]);
  });

  it("lose against what the box has not written yet", async () => {
    const { root, disk, store, look } = await watched({ a: "old", "d/b": "b" });
    const file = await root.find("a").open(WRITE);
    await file.write(bytes("box"), 0);
    await write(await at(root, "d"), "mine", "1");
    await write(root, "both", "box");
    disk.put("a", "page");
    disk.put("both", "page");
    disk.entries.delete("d");
    await look();
    expect(await read(root.find("a"))).toBe("box");
    expect(await store.flush()).toEqual([]);
    expect(disk.list()).toMatchObject({ a: "box", both: "box", "d/mine": "1" });
  });

  it("are reads of the new contents for a program that has the file open", async () => {
    const { root, disk, look } = await watched({ a: "old" });
    const file = await root.find("a").open(READ);
    const into = new Uint8Array(10);
    await file.read(into, 0);
    disk.put("a", "other");
    await look();
    await expect.poll(() => root.find("a").stat().size).toBe(5);
    expect(await file.read(into, 0)).toBe(5);
    expect(new TextDecoder().decode(into.subarray(0, 5))).toBe("other");
  });

  it("turn a file into a directory, and back", async () => {
    const { root, disk, look } = await watched({ a: "file", "b/c": "c" });
    disk.entries.delete("a");
    disk.put("a/in", "1");
    disk.entries.delete("b");
    disk.put("b", "2");
    await look();
    await expect.poll(() => errno(() => at(root, "a/in"))).toBe("done");
    expect(await read(root.find("b"))).toBe("2");
  });
});
