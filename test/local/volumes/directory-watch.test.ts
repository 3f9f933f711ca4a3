import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ERRNO, type ErrnoName } from "../../../src/local/volumes/errno.js";
import { FileNode } from "../../../src/local/volumes/files-node.js";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { T } from "../../../src/local/volumes/nine-p-wire.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import type { VolumeNode } from "../../../src/local/volumes/volume-files.js";
import { NinePClient } from "./nine-p-client.js";
import { refusing } from "./refusing-node.js";
import { Watching } from "./watching.js";

let above: string;
let folder: string;
let served: ServedVolumes;
/** Errors of calls, by path and call. */
let refused: Map<string, ErrnoName>;

const { hasRoom } = FileNode.prototype;
const at = (path: string) => join(folder, path);
const descriptors = () => readdirSync("/proc/self/fd").length;
const watch = (path: string, number = 1) =>
  served.call({ call: "watch", watch: number, path, recursive: true });

beforeEach(() => {
  above = realpathSync(mkdtempSync(join(tmpdir(), "boxrun-directory-watch-")));
  folder = join(above, "volume");
  mkdirSync(folder);
  refused = new Map();
  if (process.platform !== "linux") return;
  const opened = openHostDirectory({ hostPath: folder, readonly: false });
  const refuse = (path: string, call: keyof VolumeNode) => refused.get(`${call} ${path}`);
  served = new ServedVolumes([{ ...opened, root: refusing(opened.root, refuse) }]);
});
afterEach(() => {
  served?.close();
  // Paths may be too long for Node.
  execFileSync("rm", ["-rf", above]);
});

/** Makes directories in each other, however long their path is, and returns the last one. */
function makeNested(names: readonly string[]): FileNode {
  let node = FileNode.openRoot(folder);
  for (const name of names) {
    const next = node.makeDirectory(name, 0o755);
    node.close();
    node = next;
  }
  return node;
}

// Nothing else tells of changes by the descriptor of a directory.
describe.skipIf(process.platform !== "linux")("a watch of a directory of the host", () => {
  it.each(["watch", "list"])(
    "leaves out a directory whose %s is refused, until it can be read",
    async (call) => {
      for (const name of ["closed", "open"]) mkdirSync(at(name));
      refused.set(`${call} /closed`, "EACCES");
      const watching = await Watching.begin(served, "/0", { recursive: true });
      writeFileSync(at("closed/early"), "");
      writeFileSync(at("open/file"), "");
      expect((await watching.until("created /open/file")).join()).not.toContain("early");
      refused.clear();
      chmodSync(at("closed"), 0o700);
      await watching.until("created /closed/early");
      writeFileSync(at("closed/late"), "");
      await watching.until("created /closed/late");
    },
  );

  it("leaves out an entry that may not be looked at", async () => {
    for (const name of ["closed", "open"]) mkdirSync(at(name));
    refused.set("find ", "EACCES");
    const watching = await Watching.begin(served, "/0", { recursive: true });
    refused.clear();
    mkdirSync(at("new"));
    expect(await watching.until("created /new")).toEqual(["created /new"]);
  });

  it.each([
    ["watch ", "EACCES"],
    ["watch /inner", "ENOSPC"],
    ["list /inner", "EMFILE"],
    ["hasRoom /inner", undefined],
  ] as const)("holds nothing when %s is refused", async (call, errno) => {
    for (const name of ["first", "inner", "last"]) mkdirSync(at(name));
    const before = descriptors();
    if (errno) refused.set(call, errno);
    else FileNode.prototype.hasRoom = () => false;
    try {
      expect(await watch("/0")).toEqual({ errno: ERRNO[errno ?? "EMFILE"] });
    } finally {
      FileNode.prototype.hasRoom = hasRoom;
    }
    expect(descriptors()).toBe(before);
    refused.clear();
    await Watching.begin(served, "/0", { recursive: true });
  });

  it.each(["watch /dir", "stat /dir/inner"])(
    "holds nothing when %s is refused, above it or at its end",
    async (call) => {
      mkdirSync(at("dir/inner"), { recursive: true });
      const before = descriptors();
      refused.set(call, "EACCES");
      expect(await watch("/0/dir/inner")).toEqual({ errno: ERRNO.EACCES });
      expect(descriptors()).toBe(before);
    },
  );

  it("holds nothing when it is ended before it has begun", async () => {
    mkdirSync(at("dir/inner"), { recursive: true });
    const before = descriptors();
    const begun = watch("/0/dir");
    await served.call({ call: "unwatch", watch: 1 });
    await begun;
    expect(descriptors()).toBe(before);
  });

  it("shares what it holds with other watches", async () => {
    for (let i = 0; i < 20; i++) mkdirSync(at(`${i}`));
    await watch("/0", 1);
    const before = descriptors();
    await watch("/0", 2);
    expect(descriptors()).toBeLessThan(before + 5);
    await served.call({ call: "unwatch", watch: 1 });
    expect(descriptors()).toBeGreaterThan(before - 5);
    await served.call({ call: "unwatch", watch: 2 });
    expect(descriptors()).toBeLessThan(before - 15);
  });

  it("tells of an overflow where a path is too long", async () => {
    const last = makeNested(Array.from({ length: 20 }, () => "n".repeat(250)));
    const watching = await Watching.begin(served, "/0", { recursive: true });
    last.makeDirectory("new", 0o755).close();
    last.close();
    expect((await watching.until("overflow")).join()).not.toContain("new");
    mkdirSync(at("last"));
    await watching.until("created /last");
  });

  it("keeps few long paths for a reader who is slow", async () => {
    const last = makeNested(Array.from({ length: 15 }, () => "n".repeat(250)));
    const watching = await Watching.begin(served, "/0", { recursive: true });
    const other = await Watching.begin(served, "/0", { recursive: true, number: 2 });
    for (let i = 0; i < 400; i++) last.makeDirectory(`${i}`, 0o755).close();
    last.close();
    mkdirSync(at("last"));
    // This one is read, and both are fed in turns.
    await other.until("created /last");
    expect((await watching.until("created /last")).length).toBeLessThan(300);
  });

  it("ends a tree that is thousands of directories deep", async () => {
    makeNested(Array.from({ length: 4000 }, () => "d")).close();
    const before = descriptors();
    const watching = await Watching.begin(served, "/0", { recursive: true });
    renameSync(at("d"), join(above, "outside"));
    expect(await watching.until("removed /d")).toEqual(["removed /d"]);
    await served.call({ call: "unwatch", watch: 1 });
    expect(descriptors()).toBe(before);
  });

  it("ends when the directory of the volume is removed, which is then stale", async () => {
    const watching = await Watching.begin(served, "/0", { recursive: true });
    mkdirSync(at("inner"));
    await watching.until("created /inner");
    rmdirSync(at("inner"));
    rmdirSync(folder);
    expect((await watching.until()).slice(-2)).toEqual(["removed", "end"]);
    expect(await served.call({ call: "stat", path: "/0", follow: true })).toEqual({ errno: ERRNO.ESTALE });
    const guest = new NinePClient(served);
    const root = await guest.walk(await guest.attach(), "0");
    await expect(guest.call(T.GETATTR, { u32: root }, { u64: 0x7ff })).rejects.toThrow();
  });

  it("goes on in what it has when hot reload finds one directory that cannot be read", async () => {
    for (const name of ["closed", "open"]) mkdirSync(at(name));
    refused.set("watch /closed", "EACCES");
    refused.set("list /closed", "EACCES");
    const asked = served.call({ call: "foreign" });
    const writing = setInterval(() => writeFileSync(at("open/file"), ""), 20);
    const answer = await asked;
    clearInterval(writing);
    expect("paths" in answer && answer.paths).toContain("/0/open/file");
  });
});
