import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProcessOwner } from "../../robustness/crashes/process-owner.js";
import { checkDisk } from "../check-disk.js";

let state: string;
const clients: BoxRunClient[] = [];
const owners: ProcessOwner[] = [];
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
});
afterEach(async () => {
  for (const owner of owners.splice(0)) await owner.kill();
  for (const client of clients.splice(0)) await client.close();
  rmSync(state, { recursive: true, force: true });
});

function newClient(): BoxRunClient {
  const client = new BoxRunClient({ backend: "local", local: { state } });
  clients.push(client);
  return client;
}

const diskOf = (id: string) => join(state, "boxes", id, "disk");

describe("a guest that fills its disk", () => {
  // All but a few MB at once.
  const ballast =
    "for mb in 900 40 20 10 5; do fallocate -l $((mb * 1000000)) /root/ballast$mb; done 2> /dev/null";
  const fill = "dd if=/dev/zero of=/root/fill bs=65536 conv=fsync 2>&1";
  it("is told so, and its box goes on: after a kill, once there is room, and after a stop", async () => {
    const owner = new ProcessOwner(state);
    owners.push(owner);
    const id = await owner.call<string>("create", "filled", { diskSizeGb: 1 });
    await owner.call("exec", "filled", `echo kept > /root/kept; sync; ${ballast}`);
    expect(await owner.call("exec", "filled", fill)).toContain("No space left on device");
    expect(await owner.call("exec", "filled", "cat /root/kept; rm /root/fill")).toBe("kept\n");
    expect(await owner.call("exec", "filled", fill)).toContain("No space left on device");
    await owner.kill();
    const disk = diskOf(id);
    checkDisk(disk, state);

    const box = await newClient().getBox("filled");
    await box.start();
    expect((await box.exec(`cat /root/kept; ${fill}`)).stdout).toMatch(/^kept\n.*No space left on device/s);
    const again = await box.exec(
      "rm /root/ballast* /root/fill; seq 300000 > /root/more && sync && echo fits",
    );
    expect(again.stdout).toBe("fits\n");
    await box.stop();
    checkDisk(disk, state);
    await box.start();
    expect((await box.exec("cat /root/kept; tail -n 1 /root/more")).stdout).toBe("kept\n300000\n");
  });
});

describe("a box that has filled its disk, and whose file system has used some of what it keeps for itself", () => {
  /** Prints what is free, and what ext4 would like to keep. */
  const left = 'echo "$(stat -f -c %f /) of $(cat /sys/fs/ext4/sdb/reserved_clusters)"';
  // Each of these writes splits the space that it falls into, and ext4 notes the parts in blocks of that reserve.
  const split = `
    fallocate -l 2G /root/ballast 2> /dev/null
    cat /dev/zero > /root/fill 2> /dev/null
    cat > /dev/shm/split.js <<END
      const file = std.open("/root/ballast", "r+");
      for (let at = 0; at < 800e6; at += 262144) { file.seek(at); file.puts("x"); }
      file.close();
END
    qjs --std /dev/shm/split.js && sync && ${left}`;
  const blocks = (text: string) => {
    const [, free, reserve] = text.match(/^(\d+) of (\d+)$/m)!;
    return { free: Number(free), reserve: Number(reserve) };
  };

  it("starts after a kill and after a stop with all that it needs, writable once files are removed", async () => {
    const owner = new ProcessOwner(state);
    owners.push(owner);
    const id = await owner.call<string>("create", "split", { diskSizeGb: 1, workdir: "/srv/work" });
    const lost = "rm -r /srv/work; echo > /etc/hosts; cd /";
    const { free, reserve } = blocks(await owner.call("exec", "split", `${lost}; ${split}`));
    expect(reserve).toBe(4096);
    expect(free).toBeLessThan(reserve - 1);
    await owner.kill();

    const box = await newClient().getBox("split");
    const still = `touch /root/new; echo more > /root/new; pwd; grep -c split /etc/hosts; ${left}`;
    for (const end of [() => box.stop(), () => {}]) {
      await box.start();
      const { stdout, stderr } = await box.exec(still);
      expect(stdout).toMatch(/^\/srv\/work\n1\n/);
      // What the start was lent is not for the box's programs.
      expect(stderr).toContain("No space left on device");
      expect(blocks(stdout).reserve).toBe(reserve);
      await end();
    }
    const made = await box.exec("rm /root/ballast && echo fits > /root/new && cat /root/new");
    expect(made).toMatchObject({ stdout: "fits\n", stderr: "" });
    await box.stop();
    checkDisk(diskOf(id), state);
  });
});
