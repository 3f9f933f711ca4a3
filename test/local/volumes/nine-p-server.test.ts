import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { TOUCH_SECONDS } from "../../../src/local/protocol/frame-types.js";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { T } from "../../../src/local/volumes/nine-p-wire.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import {
  EBADF,
  EEXIST,
  EINVAL,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EROFS,
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from "./linux.js";
import { NinePClient, Refused } from "./nine-p-client.js";
import { serveFolder } from "./served-folder.js";

let folder: string;
let outside: string;
let client: NinePClient;
let root: number;
beforeEach(async () => {
  ({ folder, outside, client, root } = await serveFolder());
});

const u32 = (value: number) => ({ u32: value });
const refused = (errno: number) => new Refused(errno);
const at = (name: string) => join(folder, name);

describe("files of a volume", () => {
  it("are read, written, cut and appended to", async () => {
    const file = await client.walk(root);
    await client.create(file, "new.txt", O_RDWR | O_CREAT, 0o640);
    expect(await client.write(file, "hello")).toBe(5);
    expect(await client.read(file, 1)).toBe("ello");
    expect(readFileSync(at("new.txt"), "utf8")).toBe("hello");
    expect(statSync(at("new.txt")).mode & 0o777).toBe(0o640);
    const appending = await client.walk(root, "new.txt");
    await client.open(appending, O_WRONLY | O_APPEND);
    await client.write(appending, "!", 0);
    expect(await client.read(file)).toBe("hello!");
    const cutting = await client.walk(root, "new.txt");
    await client.open(cutting, O_WRONLY | O_TRUNC);
    expect((await client.stat(file)).size).toBe(0);
    await expect(client.read(cutting)).rejects.toThrow();
    await expect(client.write(await client.walk(root, "new.txt"), "x")).rejects.toEqual(refused(EBADF));
  });

  it("stay open when they are renamed or removed", async () => {
    const file = await client.walk(root);
    await client.create(file, "a");
    renameSync(at("a"), at("b"));
    await client.write(file, "renamed");
    expect(readFileSync(at("b"), "utf8")).toBe("renamed");
    unlinkSync(at("b"));
    await client.write(file, "gone", 0);
    await client.call(T.SETATTR, u32(file), u32(8), ...[u32(0), u32(0), u32(0)], { u64: 2 }, ...times());
    expect(await client.read(file)).toBe("go");
    expect(await client.stat(file)).toMatchObject({ size: 2, links: 0 });
  });

  it("are created once with O_EXCL, and opened without", async () => {
    writeFileSync(at("there"), "old");
    await expect(client.create(await client.walk(root), "there", O_RDWR | O_EXCL)).rejects.toEqual(
      refused(EEXIST),
    );
    const file = await client.walk(root);
    await client.create(file, "there", O_RDWR);
    expect(await client.read(file)).toBe("old");
  });

  it("have names of any bytes, up to 255", async () => {
    const name = "\xff\xfe umlaut \xe4 \n";
    await client.create(await client.walk(root), name);
    expect(readdirSync(folder, { encoding: "buffer" })[0]).toEqual(Buffer.from(name, "latin1"));
    const listing = await client.walk(root);
    await client.open(listing);
    expect((await client.list(listing)).map((entry) => entry.name)).toContain(name);
    await client.create(await client.walk(root), "x".repeat(255));
    await expect(client.create(await client.walk(root), "x".repeat(256))).rejects.toEqual(
      refused(ENAMETOOLONG),
    );
  });

  it.each(["", ".", "..", "a/b", "/etc", "a\0"])("are never found by the name %j", async (name) => {
    mkdirSync(at("a"));
    writeFileSync(at("a/b"), "");
    await expect(client.walk(root, name)).rejects.toEqual(refused(EINVAL));
    await expect(client.create(await client.walk(root), name)).rejects.toEqual(refused(EINVAL));
    await expect(client.call(T.RENAMEAT, u32(root), "a", u32(root), name)).rejects.toEqual(refused(EINVAL));
    expect(readdirSync(folder)).toEqual(["a"]);
  });

  it("get no setuid and setgid, and the mode that the guest wants whatever the umask", async () => {
    await client.create(await client.walk(root), "program", O_RDWR, 0o6777);
    expect(statSync(at("program")).mode & 0o7777).toBe(0o777);
    const file = await client.walk(root, "program");
    await client.call(T.SETATTR, u32(file), u32(1), u32(0o4755), u32(0), u32(0), { u64: 0 }, ...times());
    expect(statSync(at("program")).mode & 0o7777).toBe(0o755);
    await client.call(T.MKDIR, u32(root), "shared", u32(0o2777), u32(0));
    expect(statSync(at("shared")).mode & 0o7777).toBe(0o777);
  });

  it("belong to root if they are this user's, and keep their owner and times", async () => {
    writeFileSync(at("mine"), "");
    const file = await client.walk(root, "mine");
    expect(await client.stat(file)).toMatchObject({ uid: 0, mode: 0o100644 });
    const valid = 2 | 4 | 0x10 | 0x20 | 0x80 | 0x100;
    const when = [{ u64: 1000 }, { u64: 500_000_000 }, { u64: -86_400 }, { u64: 0 }];
    await client.call(T.SETATTR, u32(file), u32(valid), u32(0), u32(1234), u32(1234), { u64: 0 }, ...when);
    expect(statSync(at("mine"))).toMatchObject({
      uid: process.getuid?.(),
      atimeMs: 1_000_500,
      mtimeMs: -86_400_000,
    });
  });

  it("keep everything when they are given the time that means nothing, in a read-only volume, too", async () => {
    writeFileSync(at("file"), "");
    utimesSync(at("file"), 7.5, 1000.25);
    const { ctimeMs } = statSync(at("file"));
    for (const volume of ["0", "1"]) {
      const file = await client.walk(await client.attach(), volume, "file");
      const set = (seconds: number) =>
        client.call(
          T.SETATTR,
          ...[
            u32(file),
            u32(0x20 | 0x40 | 0x100),
            u32(0),
            u32(0),
            u32(0),
            { u64: 0 },
            { u64: 8 },
            { u64: 0 },
          ],
          { u64: seconds },
          { u64: 0 },
        );
      await set(TOUCH_SECONDS);
      expect(statSync(at("file"))).toMatchObject({ atimeMs: 7500, mtimeMs: 1_000_250, ctimeMs });
      if (volume === "1") await expect(set(1000)).rejects.toEqual(refused(EROFS));
    }
  });

  it("have one inode number for all their names, and no other file has it", async () => {
    writeFileSync(at("a"), "");
    linkSync(at("a"), at("b"));
    writeFileSync(at("c"), "");
    const inodes = new Map<string, number>();
    for (const volume of ["0", "1"]) {
      const directory = await client.walk(await client.attach(), volume);
      const listing = await client.walk(directory);
      await client.open(listing);
      for (const { name, inode } of await client.list(listing, 64)) {
        inodes.set(`${volume}/${name}`, inode);
        if (name.startsWith(".")) continue;
        expect((await client.stat(await client.walk(directory, name))).inode).toBe(inode);
      }
    }
    expect(inodes.get("0/a")).toBe(inodes.get("0/b"));
    expect(new Set(inodes.values()).size).toBe(6);
  });
});

/** The times of SETATTR, which its bits say not to take. */
function times() {
  return [{ u64: 0 }, { u64: 0 }, { u64: 0 }, { u64: 0 }];
}

describe("links of a volume", () => {
  beforeEach(() => {
    symlinkSync(outside, at("out"));
    symlinkSync("/etc/passwd", at("passwd"));
  });

  it("are read, and never followed", async () => {
    const link = await client.walk(root, "passwd");
    const target = await client.call(T.READLINK, u32(link));
    expect(target.toString("latin1", 2)).toBe("/etc/passwd");
    await expect(client.open(link)).rejects.toEqual(refused(EINVAL));
    await expect(client.walk(root, "out", "secret")).rejects.toBeInstanceOf(Refused);
    await expect(client.create(await client.walk(root), "passwd", O_RDWR)).rejects.toBeInstanceOf(Refused);
    await expect(client.create(await client.walk(root, "out"), "new")).rejects.toEqual(refused(ENOTDIR));
    await client.call(T.SETATTR, u32(link), u32(1), u32(0o777), u32(0), u32(0), { u64: 0 }, ...times());
    expect(existsSync(join(outside, "new"))).toBe(false);
    expect(statSync("/etc/passwd").mode & 0o777).not.toBe(0o777);
  });

  it("are made with any target, and given other names", async () => {
    await client.call(T.SYMLINK, u32(root), "link", "../\xff", u32(0));
    expect(readlinkSync(at("link"), { encoding: "buffer" })).toEqual(Buffer.from("../\xff", "latin1"));
    writeFileSync(at("file"), "");
    mkdirSync(at("sub"));
    const file = await client.walk(root, "file");
    renameSync(at("file"), at("sub/file"));
    await client.call(T.LINK, u32(root), u32(file), "hard");
    expect(lstatSync(at("hard")).ino).toBe(lstatSync(at("sub/file")).ino);
    await expect(client.call(T.LINK, u32(root), u32(await client.walk(root, "sub")), "x")).rejects.toEqual(
      refused(EPERM),
    );
  });

  it("never lead out while a directory is swapped for one, however often", { timeout: 60_000 }, async () => {
    const { Worker } = await import("node:worker_threads");
    mkdirSync(at("dir"));
    writeFileSync(at("dir/secret"), "inside");
    symlinkSync(outside, at("link"));
    const swap = `
      const { renameSync } = require("node:fs");
      const { workerData: folder, parentPort } = require("node:worker_threads");
      parentPort.postMessage("swapping");
      for (;;) {
        renameSync(folder + "/dir", folder + "/aside"); renameSync(folder + "/link", folder + "/dir");
        renameSync(folder + "/dir", folder + "/link"); renameSync(folder + "/aside", folder + "/dir");
      }`;
    const worker = new Worker(swap, { eval: true, workerData: folder });
    await new Promise((resolve) => worker.once("message", resolve));
    const seen = new Map<string, number>();
    for (let i = 0; i < 100_000; i++) {
      const outcome = await client
        .walk(root, "dir", "secret")
        .then(async (file) => {
          await client.open(file);
          const text = await client.read(file);
          await client.clunk(file);
          return text;
        })
        .catch((error: Refused) => String(error.errno));
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    await worker.terminate();
    expect([...seen.keys()].sort()).toEqual(["2", "inside"]);
    for (const name of ["dir", "link", "aside"]) rmSync(at(name), { recursive: true, force: true });
  });
});

describe("directories of a volume", () => {
  it("are listed in pieces, each entry once", async () => {
    for (let i = 0; i < 300; i++) writeFileSync(at(`file-${i}`), "");
    const listing = await client.walk(root);
    await client.open(listing);
    const names = (await client.list(listing, 1000)).map(({ name }) => name);
    expect(names).toHaveLength(302);
    expect(new Set(names).size).toBe(302);
    expect(names.slice(0, 2)).toEqual([".", ".."]);
  });

  it("are made, renamed and removed", async () => {
    await client.call(T.MKDIR, u32(root), "a", u32(0o755), u32(0));
    await expect(client.call(T.MKDIR, u32(root), "a", u32(0o755), u32(0))).rejects.toEqual(refused(EEXIST));
    const a = await client.walk(root, "a");
    await client.call(T.RENAMEAT, u32(root), "a", u32(root), "b");
    await client.create(await client.walk(a), "file");
    expect(readdirSync(at("b"))).toEqual(["file"]);
    const remove = (name: string, flags = 0x200) => client.call(T.UNLINKAT, u32(root), name, u32(flags));
    await expect(remove("b")).rejects.toEqual(refused(ENOTEMPTY));
    await expect(remove("b", 0)).rejects.toBeInstanceOf(Refused);
    await client.call(T.UNLINKAT, u32(a), "file", u32(0));
    await remove("b");
    expect(readdirSync(folder)).toEqual([]);
    await expect(client.create(await client.walk(a), "late")).rejects.toEqual(refused(ENOENT));
  });

  it("give ENOENT once the whole directory is gone, and the other volume lives", async () => {
    const other = mkdtempSync(join(tmpdir(), "boxrun-volume-"));
    const both = new ServedVolumes([
      openHostDirectory({ hostPath: other, readonly: false }),
      openHostDirectory({ hostPath: folder, readonly: false }),
    ]);
    const its = new NinePClient(both);
    const mount = await its.attach();
    const gone = await its.walk(mount, "0");
    rmSync(other, { recursive: true });
    await expect(its.create(gone, "x")).rejects.toEqual(refused(ENOENT));
    await its.create(await its.walk(mount, "1"), "x");
    expect(readdirSync(folder)).toEqual(["x"]);
    both.close();
  });
});

describe("a read-only volume", () => {
  it("refuses every change, whatever the guest mounts it as", async () => {
    writeFileSync(at("file"), "text");
    mkdirSync(at("dir"));
    const volume = await client.walk(await client.attach(), "1");
    const file = await client.walk(volume, "file");
    await client.open(file);
    expect(await client.read(file)).toBe("text");
    const changes = [
      client.create(await client.walk(volume), "new"),
      client.open(await client.walk(volume, "file"), O_RDWR),
      client.open(await client.walk(volume, "file"), O_TRUNC),
      client.write(file, "x"),
      client.call(T.MKDIR, u32(volume), "new", u32(0o755), u32(0)),
      client.call(T.SYMLINK, u32(volume), "new", "x", u32(0)),
      client.call(T.LINK, u32(volume), u32(file), "new"),
      client.call(T.RENAMEAT, u32(volume), "file", u32(volume), "new"),
      client.call(T.UNLINKAT, u32(volume), "file", u32(0)),
      client.call(T.SETATTR, u32(file), u32(1), u32(0o600), u32(0), u32(0), { u64: 0 }, ...times()),
    ];
    for (const change of changes) await expect(change).rejects.toEqual(refused(EROFS));
    expect(readdirSync(folder)).toEqual(["dir", "file"]);
  });
});
