import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FileOperation } from "../../../src/contract/types.js";
import type { Guest } from "../../../src/local/guest/guest.js";
import { operateInGuest } from "../../../src/local/guest/guest-operation.js";
import { PathInVolume } from "../../../src/local/guest/path-in-volume.js";
import { startGuest, type TestVolume } from "../running-guest.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-volumes-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A volume of a new directory with one file, which has its name. */
function volume(name: string, path: string, readonly = false): TestVolume {
  const hostPath = join(folder, name);
  mkdirSync(hostPath);
  writeFileSync(join(hostPath, "file"), name);
  return { hostPath, path, readonly };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const stat = (path: string, followLinks = true): FileOperation => ({
  op: "stat",
  path: bytes(path),
  followLinks,
});

/** Asks the guest for a path: where in the volumes it is, or how many entries came. */
async function placeOf(guest: Guest, path: string): Promise<string | number> {
  try {
    return (await operateInGuest(guest, stat(path), undefined)).length;
  } catch (error) {
    if (error instanceof PathInVolume) return new TextDecoder().decode(error.path!);
    throw error;
  }
}

describe("volumes in a guest", () => {
  it("are mounted at their paths, which are made, and one may be in another", async () => {
    const volumes = [volume("a", "/work"), volume("b", "/srv/deep/b", true), volume("c", "/work/in/c")];
    await using running = await startGuest(volumes);
    const { shell } = running;
    expect(await shell("cat /work/file /srv/deep/b/file /work/in/c/file")).toBe("abc0");
    expect(await shell("cut -d' ' -f2-3 /proc/mounts | grep 9p")).toBe(
      "/work 9p\n/srv/deep/b 9p\n/work/in/c 9p\n0",
    );
    expect(await shell("echo new > /work/new; echo no > /srv/deep/b/new")).toMatch(
      /Read-only file system\n1$/,
    );
    expect(readFileSync(join(folder, "a/new"), "utf8")).toBe("new\n");
    expect(existsSync(join(folder, "b/new"))).toBe(false);
    expect(await shell("find / -xdev -name file; ls -A /run")).toBe("0");
    await running.machine.guest.shutdown(1000);
  });

  it("follow links of the box, and refuse a path that ends at a file", async () => {
    await using running = await startGuest([volume("a", "/bin/a")]);
    expect(await running.shell("cat /usr/bin/a/file")).toBe("a0");
    await expect(startGuest([volume("b", "/etc/passwd")])).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      message: "cannot mount a volume at /etc/passwd: not a directory (ENOTDIR)",
    });
  });

  it("are told from the box's own files, wherever the box moves and shows them", async () => {
    await using running = await startGuest([volume("a", "/work"), volume("b", "/data/sets/b")]);
    const { machine, shell } = running;
    const { guest } = machine;
    expect(await placeOf(guest, "/work/../work/x//y/.")).toBe("/0/x//y/.");
    expect(await placeOf(guest, "/data/sets")).toBe(1);
    mkdirSync(join(folder, "b/a sub"));
    const moves = [
      "mv /data /elsewhere",
      "mkdir '/a place' /hidden /hidden/v",
      "mount --bind '/elsewhere/sets/b/a sub' '/a place'",
      "mount --bind /work /hidden/v",
      "mount -t tmpfs none /hidden",
      "ln -s '../a place' /root/link",
      "cd /work; sleep 1000 & echo $! > /root/pid",
    ];
    expect(await shell(moves.join(" && "))).toBe("0");
    expect(await placeOf(guest, "/elsewhere/sets/b/x")).toBe("/1/x");
    expect(await placeOf(guest, "/a place/x")).toBe("/1/a sub/x");
    expect(await placeOf(guest, "/root/link/x")).toBe("/1/a sub/x");
    expect(
      await placeOf(guest, `/proc/${(await shell("cat /root/pid")).trim().slice(0, -1).trim()}/cwd/x`),
    ).toBe("/0/x");
    expect(await placeOf(guest, "/hidden")).toBe(1);
    await expect(placeOf(guest, "/hidden/v")).rejects.toMatchObject({ failure: { errno: 2 } });
    expect(await shell("umount -l /work")).toBe("0");
    expect(await placeOf(guest, "/work")).toBe(1);
    await guest.shutdown(1000);
  });

  it("are listed in their directory without being looked at", async () => {
    await using running = await startGuest([volume("a", "/work")]);
    const { guest } = running.machine;
    const entries = await operateInGuest(guest, { op: "list", path: bytes("/") }, undefined);
    const found = entries.find(({ name }) => new TextDecoder().decode(name) === "work");
    expect(found).toMatchObject({ type: "directory", mode: 0o755, size: 0, modifiedAt: new Date(0) });
  });

  it("let a shutdown end while a process stands in one, and have what was written", async () => {
    await using running = await startGuest([volume("a", "/work")]);
    const standing =
      "mkdir /work/in; cd /work/in; { trap '' TERM; sleep 1000; } </dev/null >/dev/null 2>&1 &";
    expect(await running.shell(`${standing} echo kept > /work/kept`)).toBe("0");
    await running.machine.guest.shutdown(0);
    expect(readFileSync(join(folder, "a/kept"), "utf8")).toBe("kept\n");
  });
});
