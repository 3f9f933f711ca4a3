import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failure } from "../../../src/testing/contract/tools.js";
import { ProcessOwner } from "../../robustness/crashes/process-owner.js";
import { ROOT } from "../../root.js";
import { CHECKER, checkDisk, intact, WRITER } from "../check-disk.js";

let state: string;
const clients: BoxRunClient[] = [];
const owners: { kill(): unknown }[] = [];
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
});
afterEach(async () => {
  for (const owner of owners.splice(0)) await owner.kill();
  for (const client of clients.splice(0)) await client.close();
  rmSync(state, { recursive: true, force: true });
});

function newClient(local: object = {}): BoxRunClient {
  const client = new BoxRunClient({ backend: "local", local: { state, ...local } });
  clients.push(client);
  return client;
}

/** A process of its own that runs a command without end in a new box. */
async function startOwner(name: string, command: string) {
  const lines: string[] = [];
  let onLine = () => {};
  const owner = new ProcessOwner(state, ({ line }) => {
    if (line === undefined) return;
    lines.push(line);
    onLine();
  });
  owners.push(owner);
  await owner.call("create", name);
  owner.call("write", name, command).catch(() => {});
  const said = (count: number) =>
    new Promise<void>((resolve) => {
      onLine = () => {
        if (lines.length >= count) resolve();
      };
      onLine();
    });
  return { kill: () => owner.kill(), lines, said };
}

const boxFolder = (id: string) => join(state, "boxes", id);

describe("a box whose process is killed", () => {
  it.each([1, 7, 23])("in the middle of its writes has every record it had synced (%d)", async (records) => {
    const owner = await startOwner("killed", WRITER);
    await owner.said(records);
    await owner.kill();
    // What it had printed and nobody had read yet counts, too.
    const last = Number(owner.lines.at(-1));

    const client = newClient();
    const [info] = await client.listBoxes();
    expect(info).toMatchObject({ name: "killed", status: "stopped", errorCode: null });
    expect(info!.stoppedAt).toBeInstanceOf(Date);
    checkDisk(join(boxFolder(info!.id), "disk"), state);
    const box = await client.getBox("killed");
    await box.start();
    expect((await box.exec(CHECKER(last))).stdout).toBe(intact(last));
    // The last tenth of a second of a history may be lost.
    if (records === 1) return;
    const cutOff = (await box.executions()).at(-1);
    expect(cutOff).toMatchObject({ status: "error", exitCode: null });
  });

  it("has no file empty that was whole when another's fsync wrote the journal", async () => {
    const owner = await startOwner(
      "whole",
      "cd /root; echo old > g; echo whole > f; echo new > g; echo x > o; fsync o; echo said; sleep 7000",
    );
    await owner.said(1);
    await owner.kill();
    const box = await newClient().getBox("whole");
    await box.start();
    expect((await box.exec("cat /root/f /root/g")).stdout).toBe("whole\nnew\n");
  });

  it.each(["ln big name", "mv big name"])(
    "has all of a file that is still open and got its name by `%s`, when another's fsync wrote the journal",
    async (naming) => {
      // More than gets its blocks at once.
      const much = "head -c 300000 /dev/zero | tr '\\0' x";
      const owner = await startOwner(
        "named",
        `cd /root; exec 3> big; ${much} >&3; ${naming}; echo x > o; fsync o; echo said; sleep 7000`,
      );
      await owner.said(1);
      await owner.kill();
      const box = await newClient().getBox("named");
      await box.start();
      const { stdout } = await box.exec("wc -c < /root/name; tr -d x < /root/name | wc -c");
      expect(stdout.split(/\s+/).slice(0, 2)).toEqual(["300000", "0"]);
    },
  );

  it("is seen as running until then, and is nobody else's", async () => {
    const owner = await startOwner("owned", "echo there > /root/f; sync; echo done; sleep 7000");
    await owner.said(1);
    const client = newClient();
    const box = await client.getBox("owned");
    expect(box.info.status).toBe("running");
    for (const attempt of [
      () => box.exec(["true"]),
      () => box.start(),
      () => box.stop(),
      () => box.remove({ force: true }),
      () => box.upload(new Uint8Array(1), "/root/x"),
      () => box.download("/root/f"),
    ]) {
      expect(await failure(attempt())).toMatchObject({ code: "BOX_LOCKED", retryable: true });
    }
    await owner.kill();
    expect((await box.refresh()).status).toBe("stopped");
    await box.start();
    expect((await box.exec(["cat", "/root/f"])).stdout).toBe("there\n");
  });

  it("before it was made leaves nothing, and its name is free", async () => {
    const client = newClient();
    const folder = boxFolder("box_aaaaaaaaaaaa");
    const record = {
      version: 2,
      id: "box_aaaaaaaaaaaa",
      spec: { ...SPEC, name: "half" },
      image: null,
      made: false,
      createdAt: new Date().toISOString(),
      startedAt: null,
      stoppedAt: null,
      error: null,
    };
    cpSync(join(ROOT, "test/fixtures/box-v1"), folder, { recursive: true });
    writeFileSync(join(folder, "box.json"), JSON.stringify(record));
    const box = await client.create("tiny", { name: "half", memoryMb: 256 });
    expect((await client.listBoxes()).map(({ id }) => id)).toEqual([box.id]);
    expect(existsSync(folder)).toBe(false);
  });
});

const SPEC = {
  image: "tiny",
  name: "old",
  cpu: 2,
  memoryMb: 256,
  diskSizeGb: 8,
  network: false,
  workdir: "/root",
  env: null,
  volumes: null,
};

describe("what is kept of a box", () => {
  async function stoppedBox(): Promise<string> {
    const client = newClient();
    const box = await client.create("tiny", { name: "kept", memoryMb: 256 });
    await box.exec("echo kept > /root/f");
    await box.stop();
    return box.id;
  }

  it("needs no recovery after a stop, and a close stops", async () => {
    const client = newClient();
    const box = await client.create("tiny", { memoryMb: 256 });
    await box.exec("echo x > /root/f");
    await client.close();
    checkDisk(join(boxFolder(box.id), "disk"), state);
    const again = await newClient().getBox(box.id);
    await again.start();
    expect((await again.exec("dmesg | grep -c recovery; cat /root/f")).stdout).toBe("0\nx\n");
  });

  it.each([
    ["cut short", (disk: string) => truncateSync(disk, 5_000_000), /5000000 bytes, expected 8589934592/],
    ["gone", (disk: string) => rmSync(disk), /does not exist/],
  ])("is refused when its disk is %s, and left as it is", async (_, spoil, why) => {
    const id = await stoppedBox();
    spoil(join(boxFolder(id), "disk"));
    const box = await newClient().getBox(id);
    const error = await failure(box.start());
    expect(error).toMatchObject({ code: "STATE_MISMATCH" });
    expect(error.message).toMatch(why);
    expect((await box.refresh()).status).toBe("stopped");
    await box.remove();
    expect(existsSync(boxFolder(id))).toBe(false);
  });

  it.each([
    ["of a newer version", { version: 99 }, /newer version/],
    ["damaged", "{", /damaged/],
  ])("is shown and can be removed when its record is %s, and nothing else", async (_, spoiled, why) => {
    const id = await stoppedBox();
    const file = join(boxFolder(id), "box.json");
    const record = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, typeof spoiled === "string" ? spoiled : JSON.stringify({ ...record, ...spoiled }));
    const client = newClient();
    expect(await client.listBoxes()).toMatchObject([{ id, status: "error", errorCode: "STATE_MISMATCH" }]);
    const box = await client.getBox(id);
    const error = await failure(box.start());
    expect(error).toMatchObject({ code: "STATE_MISMATCH" });
    expect(error.message).toMatch(why);
    expect(await client.gc({ olderThan: 0 })).toBe(0);
    await box.remove();
    expect(await client.listBoxes()).toEqual([]);
  });

  it("is brought up to date when an older version made it", async () => {
    const id = await stoppedBox();
    const old = JSON.parse(readFileSync(join(ROOT, "test/fixtures/box-v1/box.json"), "utf8"));
    writeFileSync(join(boxFolder(id), "box.json"), JSON.stringify({ ...old, id }));
    const client = newClient();
    const box = await client.getBox("old");
    expect(box.info).toMatchObject({ id, status: "stopped", memoryMb: 256, local: { image: "tiny" } });
    await box.start();
    expect((await box.exec(["cat", "/root/f"])).stdout).toBe("kept\n");
    await box.stop();
    expect(JSON.parse(readFileSync(join(boxFolder(id), "box.json"), "utf8"))).toMatchObject({ version: 2 });
  });

  it("gives its space back when it is removed", async () => {
    const client = newClient();
    const box = await client.create("tiny", { memoryMb: 256 });
    const before = (await box.usage()).diskBytes;
    await box.exec("head -c 20000000 /dev/zero | tr '\\0' x > /root/big; sync");
    const { diskBytes, persistent } = await box.usage();
    expect(diskBytes - before).toBeGreaterThan(20_000_000);
    expect(diskBytes - before).toBeLessThan(25_000_000);
    expect(persistent).toBe(true);
    await box.remove({ force: true });
    expect(readdirSync(join(state, "boxes"))).toEqual([]);
  });

  it("is nothing under persistent: false, but for the life of the client", async () => {
    const client = newClient({ persistent: false });
    const box = await client.create("tiny", { memoryMb: 256 });
    expect(box.info.local).toMatchObject({ persistent: false, warnings: [] });
    await box.exec("echo here > /root/f");
    await box.stop();
    await box.start();
    expect((await box.exec(["cat", "/root/f"])).stdout).toBe("here\n");
    expect(readdirSync(state)).toEqual([]);
  });

  it("works under strict durability, too", async () => {
    const client = newClient({ durability: "strict" });
    const box = await client.create("tiny", { memoryMb: 256 });
    expect((await box.exec("head -c 3000000 /dev/zero > /root/f; sync; wc -c < /root/f")).stdout).toBe(
      "3000000\n",
    );
  });
});

describe("two processes", () => {
  it("that ask for one name at once make one box", async () => {
    const rivals = [1, 2, 3].map(() => new ProcessOwner(state));
    owners.push(...rivals);
    const made = await Promise.allSettled(rivals.map((rival) => rival.call("create", "only")));
    expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await newClient().listBoxes()).toMatchObject([{ name: "only", status: "running" }]);
  });
});

describe("what a killed process has left of boxes that it made or removed", () => {
  it("is cleared away, and what another is about to make is not", async () => {
    const boxes = join(state, "boxes");
    for (const name of [".removed-box_aaaaaaaaaaaa-1", ".new-box_bbbbbbbbbbbb", ".new-box_cccccccccccc"]) {
      mkdirSync(join(boxes, name), { recursive: true });
      writeFileSync(join(boxes, name, "disk"), "x");
    }
    utimesSync(join(boxes, ".new-box_bbbbbbbbbbbb"), new Date(0), new Date(0));
    expect(await newClient().listBoxes()).toEqual([]);
    expect(readdirSync(boxes)).toEqual([".new-box_cccccccccccc"]);
  });
});

/** What a script says of a state folder on a file system of its own, mounted with these options. */
async function onOwnFileSystem(mount: string, script: string, ...args: string[]): Promise<unknown> {
  // In a user namespace of its own, too: needs no root, and is gone with the process.
  const setUp = `mount -t tmpfs -o ${mount} none "$1" && exec "$2" "$3" "$1" "$4"`;
  const path = join(import.meta.dirname, script);
  const child = spawn(
    "unshare",
    ["-r", "-m", "sh", "-c", setUp, "sh", state, process.execPath, path, ...args],
    { stdio: ["ignore", "pipe", "inherit"], cwd: ROOT },
  );
  owners.push({ kill: () => child.kill("SIGKILL") });
  let output = "";
  child.stdout!.setEncoding("utf8").on("data", (text) => (output += text));
  await new Promise((resolve) => child.once("close", resolve));
  return JSON.parse(output);
}

describe("a place that takes no box", () => {
  it.each([
    ["is full", "size=4k,nr_inodes=3", "STORAGE_FULL", /no space left/],
    ["is read-only", "ro", "RUNTIME_ERROR", /local\.persistent: false/],
  ])("because it %s says so, and nothing is left there", async (_, mount, code, why) => {
    const seen = await onOwnFileSystem(mount, "refused-box.mjs");
    expect(seen).toMatchObject({ code, message: expect.stringMatching(why), boxes: [], files: [] });
  });
});

describe("a full disk", () => {
  it("stops the box with STORAGE_FULL and its data whole, and it goes on once there is room", async () => {
    expect(await onOwnFileSystem("size=24m", "full-disk.mjs")).toEqual({
      failed: { code: "STORAGE_FULL", retryable: false },
      info: { status: "error", errorCode: "STORAGE_FULL" },
      later: "BOX_NOT_RUNNING",
      fsck: 0,
      kept: "safe\n",
    });
  });
});
