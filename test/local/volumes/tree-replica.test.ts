import { afterEach, describe, expect, it, vi } from "vitest";
import { MemoryTree } from "../../../src/local/volumes/memory-tree.js";
import { ReplicaNode } from "../../../src/local/volumes/replica-nodes.js";
import type { ToReplica } from "../../../src/local/volumes/tree-messages.js";
import { removeFromTree, writeTreeFile } from "../../../src/local/volumes/tree-operations.js";
import { TreeOriginal } from "../../../src/local/volumes/tree-original.js";
import { Random } from "../../robustness/faults/random.js";
import { type LinkedReplica, linkReplica } from "./linked-replica.js";
import { ANY, BOTH, contentsLater, describeTree, NEW, put, READ, text } from "./tree-calls.js";

const MIB = 2 ** 20;
const bytesOf = (path: string) => Buffer.from(path, "latin1");

const linked: LinkedReplica[] = [];
afterEach(() => {
  for (const { end } of linked.splice(0)) end();
});

async function replicaOf(original: TreeOriginal, options?: { readonly: boolean }): Promise<LinkedReplica> {
  const one = await linkReplica(original, options);
  linked.push(one);
  return one;
}

/** Resolves once the replica has all changes that there were: answers come after them. */
async function upToDate({ replica }: LinkedReplica): Promise<void> {
  await replica.ask({ op: "remove", parent: 1, name: "none", kind: "file" }).catch(() => {});
}

describe("a replica of a tree", () => {
  it("begins with all files, reads them at once, and sees later changes of the original", async () => {
    const tree = new MemoryTree();
    put(tree, "a", "before");
    const one = await replicaOf(new TreeOriginal(tree));
    const root = ReplicaNode.root(one.replica);
    const file = root.find("a").open(READ);
    const into = Buffer.alloc(10);
    expect(file).not.toBeInstanceOf(Promise);
    expect((await file).read(into, 0)).toBe(6);
    put(tree, "a", "afterwards");
    await upToDate(one);
    expect((await file).read(into, 0)).toBe(10);
    expect(into.toString()).toBe("afterwards");
  });

  it("has its own writes when they are answered, and so has the original", async () => {
    const tree = new MemoryTree();
    const one = await replicaOf(new TreeOriginal(tree));
    const root = ReplicaNode.root(one.replica);
    const { node, file } = await root.create("new", NEW, 0o600);
    expect(await file.write(bytesOf("hello"), 0)).toBe(5);
    expect(await contentsLater(node)).toBe("hello");
    expect(text(tree, "new")).toBe("hello");
    expect(describeTree(one.replica.tree())).toEqual(describeTree(tree));
  });

  it("gets what the original refuses, and the room that is left in it", async () => {
    const tree = new MemoryTree({ maxBytes: 10_000, maxFiles: 3 });
    const one = await replicaOf(new TreeOriginal(tree));
    const root = ReplicaNode.root(one.replica);
    const { file } = await root.create("a", ANY, 0o644);
    expect(await file.write(Buffer.alloc(20_000), 0)).toBe(10_000);
    await expect(file.write(Buffer.alloc(1), 10_000)).rejects.toThrow("ENOSPC");
    expect(root.space()).toMatchObject({ freeBlocks: 0, files: 3, freeFiles: 1 });
    await root.makeDirectory("b", 0o755);
    await expect(root.makeDirectory("c", 0o755)).rejects.toThrow("ENOSPC");
    await expect(root.create("a", NEW, 0o644)).rejects.toThrow("EEXIST");
  });

  it("keeps what it has open when somebody else removes it, and gives it up when it closes it", async () => {
    const tree = new MemoryTree();
    const original = new TreeOriginal(tree);
    const [one, other] = [await replicaOf(original), await replicaOf(original)];
    put(tree, "open", "contents");
    await upToDate(one);
    const node = ReplicaNode.root(one.replica).find("open");
    const file = await node.open(BOTH);
    // It is removed before the replica can say that it is open.
    removeFromTree(tree, bytesOf("/open"));
    expect(await file.write(bytesOf("C"), 0)).toBe(1);
    expect(await contentsLater(node)).toBe("Contents");
    expect(node.stat()).toMatchObject({ links: 0, size: 8 });
    expect(tree.root().space().files - tree.root().space().freeFiles).toBe(2);
    // The other one has not opened it, and cannot reach it by its number.
    await upToDate(other);
    const { inode } = node.stat();
    const write = { op: "write", inode, at: 0, bytes: Buffer.from("x"), append: false } as const;
    await expect(other.replica.ask({ ...write, bytes: new Uint8Array(1) })).rejects.toThrow("ESTALE");
    await file.close();
    node.close();
    await upToDate(one);
    const { files, freeFiles } = tree.root().space();
    expect(files - freeFiles).toBe(1);
  });

  it("leaves nothing behind when its port is closed with files open", async () => {
    const tree = new MemoryTree();
    const one = await replicaOf(new TreeOriginal(tree));
    const { file } = await ReplicaNode.root(one.replica).create("a", ANY, 0o644);
    await file.write(Buffer.alloc(5000), 0);
    removeFromTree(tree, bytesOf("/a"));
    expect(tree.root().space()).toMatchObject({ freeFiles: 2 ** 18 - 2 });
    one.feed.close();
    expect(tree.root().space()).toMatchObject({ freeFiles: 2 ** 18 - 1, freeBlocks: 2 ** 18 });
  });

  it("fails with EIO, reads as well, once it is closed, and so does what was under way", async () => {
    const one = await replicaOf(new TreeOriginal(new MemoryTree()));
    const root = ReplicaNode.root(one.replica);
    const asked = root.makeDirectory("a", 0o755);
    one.replica.close();
    await expect(asked).rejects.toThrow("EIO");
    expect(() => root.list()).toThrow("EIO");
    await expect(async () => root.makeDirectory("b", 0o755)).rejects.toThrow("EIO");
  });

  it("changes nothing where it may only read", async () => {
    const tree = new MemoryTree();
    put(tree, "a", "before");
    const before = describeTree(tree);
    const one = await replicaOf(new TreeOriginal(tree), { readonly: true });
    await expect(ReplicaNode.root(one.replica).remove("a", "file")).rejects.toThrow("EROFS");
    expect(describeTree(tree)).toEqual(before);
  });

  it("ends equal to another one and to the original, with an editor between them", async () => {
    const random = new Random(7);
    const tree = new MemoryTree();
    const original = new TreeOriginal(tree);
    const both = [await replicaOf(original), await replicaOf(original)];
    const names = ["a", "b", "c", "d"];
    const step = async ({ replica }: LinkedReplica): Promise<void> => {
      const root = ReplicaNode.root(replica);
      const [name, other] = [random.pick(names), random.pick(names)];
      const steps: (() => unknown)[] = [
        async () => {
          const { file } = await root.create(name, ANY, 0o644);
          await file.write(Buffer.alloc(random.size(9000), name), random.size(9000));
          await file.close();
        },
        () => root.rename(name, root, other),
        () => root.remove(name, "file"),
        () => root.addName(root.find(name), other),
        () => writeTreeFile(tree, bytesOf(`/${name}`), Buffer.from(other)),
      ];
      // Which of them fail depends on the others.
      await Promise.resolve()
        .then(random.pick(steps))
        .catch((error) => expect(error.errno).toMatch(/^(ENOENT|EEXIST|ESTALE)$/));
      root.close();
    };
    for (let round = 0; round < 200; round++)
      await Promise.all([step(both[0]!), step(both[1]!), step(both[0]!), step(both[1]!)]);
    for (const one of both) {
      await upToDate(one);
      expect(describeTree(one.replica.tree())).toEqual(describeTree(tree));
    }
  });
});

describe("the original of a tree", () => {
  it.each([
    undefined,
    null,
    7,
    { op: "format" },
    { op: "mkdir", parent: 1, name: "../a", mode: 0o755 },
    { op: "mkdir", parent: 1, name: "", mode: 0o755 },
    { op: "mkdir", parent: 1, name: "\u0100", mode: 0o755 },
    { op: "mkdir", parent: -1, name: "a", mode: 0o755 },
    { op: "mkdir", parent: 99, name: "a", mode: 0o755 },
    { op: "mkdir", parent: "1", name: "a", mode: 0o755 },
    { op: "create", parent: 1, name: "a", mode: Number.NaN },
    { op: "symlink", parent: 1, name: "a", target: "t".repeat(5000) },
    { op: "change", inode: 2, mtimeMs: Number.NaN },
    { op: "change", inode: 2, size: -1 },
    { op: "change", inode: 2, size: 2 ** 40 },
    { op: "write", inode: 2, at: -1, bytes: new Uint8Array(1) },
    { op: "write", inode: 2, at: 2 ** 52, bytes: new Uint8Array(1) },
    { op: "write", inode: 2, at: 0, bytes: "text" },
    { op: "write", inode: 2, at: 0, bytes: new Uint8Array(2 * MIB) },
    { op: "write", inode: 1, at: 0, bytes: new Uint8Array(1) },
    { op: "remove", parent: 1, name: "file", kind: "directory" },
    { op: "rename", parent: 1, name: "file", newParent: 2, newName: "b" },
  ])("refuses a request that makes no sense: %j", (request) => {
    const tree = new MemoryTree({ now: () => 1 });
    put(tree, "file", "contents");
    const before = describeTree(tree);
    const posted: ToReplica[] = [];
    const feed = new TreeOriginal(tree).serve({ readonly: false, post: (message) => posted.push(message) });
    feed.receive({ type: "ask", id: 5, request: request as never });
    expect(posted).toMatchObject([{ type: "tree" }, { type: "answer", id: 5, errno: /^E[A-Z]+$/ }]);
    expect(describeTree(tree)).toEqual(before);
  });

  it("ignores messages that are none", () => {
    const feed = new TreeOriginal(new MemoryTree()).serve({ readonly: false, post: () => {} });
    for (const message of [undefined, null, 7, {}, { type: "took" }, { type: "release", inode: "1" }])
      expect(() => feed.receive(message as never)).not.toThrow();
  });

  it("lets writers wait while a replica is far behind, and gives up one that takes nothing", async () => {
    vi.useFakeTimers();
    try {
      const tree = new MemoryTree();
      const original = new TreeOriginal(tree);
      const posted: ToReplica[] = [];
      const slow = original.serve({ readonly: false, post: (message) => posted.push(message) });
      expect(original.ready()).toBeUndefined();
      put(tree, "big", Buffer.alloc(17 * MIB));
      const waiting = original.ready();
      expect(waiting).toBeInstanceOf(Promise);
      slow.receive({ type: "took", bytes: 17 * MIB });
      await waiting;
      expect(original.ready()).toBeUndefined();
      put(tree, "bigger", Buffer.alloc(17 * MIB));
      const lost = original.ready();
      vi.advanceTimersByTime(30_000);
      await lost;
      expect(posted.at(-1)).toEqual({ type: "lost" });
      const length = posted.length;
      put(tree, "later", "x");
      expect(posted).toHaveLength(length);
    } finally {
      vi.useRealTimers();
    }
  });
});
