import { execFileSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";
import { T } from "../../../src/local/volumes/nine-p-wire.js";
import { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import { EBADF, EINVAL, EMFILE, ENOENT, EOPNOTSUPP, EPERM, EROFS, EXDEV, O_RDWR } from "./linux.js";
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

describe("the mount", () => {
  it("shows a directory for each volume, and takes no change", async () => {
    const mount = await client.attach();
    const listing = await client.walk(mount);
    await client.open(listing);
    expect((await client.list(listing)).map(({ name }) => name)).toEqual([".", "..", "0", "1"]);
    for (const name of ["2", "00", "-1", "x", "constructor"])
      await expect(client.walk(mount, name)).rejects.toEqual(refused(ENOENT));
    await expect(client.create(await client.walk(mount), "x")).rejects.toEqual(refused(EROFS));
    await expect(client.call(T.MKDIR, u32(mount), "x", u32(0o755), u32(0))).rejects.toEqual(refused(EROFS));
  });

  it("has nothing across volumes but copies", async () => {
    writeFileSync(at("file"), "");
    const two = new ServedVolumes([
      openHostDirectory({ hostPath: folder, readonly: false }),
      openHostDirectory({ hostPath: outside, readonly: false }),
    ]);
    const its = new NinePClient(two);
    const mount = await its.attach();
    const [one, other] = [await its.walk(mount, "0"), await its.walk(mount, "1")];
    await expect(its.call(T.RENAMEAT, u32(one), "file", u32(other), "file")).rejects.toEqual(refused(EXDEV));
    await expect(its.call(T.LINK, u32(other), u32(await its.walk(one, "file")), "x")).rejects.toEqual(
      refused(EXDEV),
    );
    two.close();
  });

  it("makes no FIFOs and devices, and opens none", async () => {
    await expect(
      client.call(T.MKNOD, u32(root), "fifo", u32(0o010644), u32(0), u32(0), u32(0)),
    ).rejects.toEqual(refused(EPERM));
    execFileSync("mkfifo", [at("fifo")]);
    const fifo = await client.walk(root, "fifo");
    await expect(client.open(fifo, O_RDWR)).rejects.toEqual(refused(EINVAL));
    await expect(client.create(await client.walk(root), "fifo", O_RDWR)).rejects.toEqual(refused(EPERM));
    expect((await client.stat(fifo)).mode & 0o170000).toBe(0o010000);
  });

  it("refuses fids that are none, are taken or are too many", async () => {
    await expect(client.stat(4711)).rejects.toEqual(refused(EBADF));
    await expect(client.call(T.WALK, u32(root), u32(root + 0), { u16: 1 }, "none")).rejects.toEqual(
      refused(ENOENT),
    );
    const errors: unknown[] = [];
    for (let i = 0; i < 9000 && errors.length === 0; i++)
      await client.walk(root).catch((error) => errors.push(error));
    expect(errors).toEqual([refused(EMFILE)]);
    await client.clunk(root);
    await expect(client.stat(root)).rejects.toEqual(refused(EBADF));
  });

  it("begins anew with each VERSION", async () => {
    chmodSync(folder, 0o700);
    const open = await client.walk(root);
    await client.create(open, "file");
    await client.attach();
    await expect(client.stat(open)).rejects.toEqual(refused(EBADF));
    await expect(client.call(99)).rejects.toEqual(refused(EOPNOTSUPP));
    const old = await client.call(T.VERSION, u32(8192), "9P2000");
    expect(old.toString("latin1", 6)).toBe("unknown");
  });
});
