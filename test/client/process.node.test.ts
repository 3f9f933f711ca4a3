import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BoxRunClient } from "boxrun";
import { afterAll, describe, expect, it } from "vitest";
import { failure, pattern } from "../../src/testing/contract/tools.js";
import { checkDisk } from "../local/check-disk.js";
import { ROOT } from "../root.js";

const scratch = mkdtempSync(join(tmpdir(), "boxrun-test-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A script of its own, as a user would run it. Rejects when it has not ended by itself after a while. */
function runScript(code: string) {
  const script = `import { BoxRunClient } from "boxrun";\n${code}`;
  return promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: ROOT,
    timeout: 30_000,
  });
}

describe("a Node script", () => {
  it("ends when it is done, though nobody closed its client, box or background command", async () => {
    const { stdout } = await runScript(`
      const box = await new BoxRunClient({ backend: "local" }).create("tiny", { memoryMb: 256 });
      await box.execStream(["sleep", "600"], { detached: true });
      await box.execStream(["sleep", "600"], { detached: true, timeoutMs: 500_000 });
      console.log((await box.exec("echo done")).stdout);
    `);
    expect(stdout).toBe("done\n\n");
  });

  it("has stored what it wrote when it ends, though nobody closed anything", async () => {
    const state = join(scratch, "stored");
    await runScript(`
      const client = new BoxRunClient({ backend: "local", local: { state: ${JSON.stringify(state)} } });
      const box = await client.create("tiny", { name: "left", memoryMb: 256 });
      await box.exec("echo by a command > /root/f");
      await box.files.write("/root/g", "by a call");
    `);
    const client = new BoxRunClient({ backend: "local", local: { state } });
    const box = await client.getBox("left");
    checkDisk(join(state, "boxes", box.id, "disk"), scratch);
    await box.start();
    const { stdout } = await box.exec("cat /root/f /root/g");
    await client.close();
    expect(stdout).toBe("by a command\nby a call");
  });

  it("does not end while a call is pending", async () => {
    const { stdout } = await runScript(`
      const box = await new BoxRunClient({ backend: "local" }).create("tiny", { memoryMb: 256 });
      const execution = await box.execStream("sleep 0.5; echo one; sleep 0.5; echo two");
      for await (const event of execution) if (event.type === "log") console.log(event.data.trim());
      console.log((await (await box.execStream("sleep 0.5")).wait()).exitCode);
    `);
    expect(stdout).toBe("one\ntwo\n0\n");
  });

  it.each([
    ["on its way", 0],
    ["there", 4000],
  ])("ends though a machine that is kept ready is %s", async (_, ms) => {
    // Nothing tells when it is there, and it has had the time.
    const { stdout } = await runScript(`
      const client = new BoxRunClient({ backend: "local", local: { warm: [{ image: "tiny", memoryMb: 256 }] } });
      await client.ready();
      await new Promise((resolve) => setTimeout(resolve, ${ms}));
      console.log("done");
    `);
    expect(stdout).toBe("done\n");
  });

  it("does not end while the end of a connection is awaited, and not by one that it closed itself", async () => {
    const { stdout } = await runScript(`
      const box = await new BoxRunClient({ backend: "local" }).create("tiny", { memoryMb: 256 });
      await box.spawn("nc", ["-lk", "-s", "127.0.0.1", "-p", "80", "-e", "sleep", "1"], { detached: true });
      await box.ports.waitFor(80);
      const own = await box.connect(80);
      own.closed.then(() => console.log("closed"));
      await own.close();
      const connection = await box.connect(80);
      await connection.writable.close();
      connection.closed.finally(() => console.log("ended"));
      await box.connect(80);
    `);
    expect(stdout).toBe("closed\nended\n");
  });

  it("starts nothing and reads nothing when it only imports", async () => {
    const { stdout } = await runScript(`
      new BoxRunClient({ backend: "local" });
      console.log(process.getActiveResourcesInfo().join());
    `);
    expect(stdout).not.toMatch(/Worker|MessagePort|Timeout|TCP/);
  });

  it("gets a typed error for a box that cannot be, as from any other call", async () => {
    const { stdout } = await runScript(`
      const error = await new BoxRunClient({ backend: "local" }).create("nope").catch((caught) => caught);
      console.log(error.code);
    `);
    expect(stdout).toBe("IMAGE_PULL_FAILED\n");
  });
});

describe("a client that is closed", () => {
  const state = join(scratch, "closed");
  const newClient = () => new BoxRunClient({ backend: "local", local: { state } });

  it("makes no box of a creation that was under way, whenever that is", async () => {
    for (const turns of [0, 0, 1, 3, 10, 30]) {
      const client = newClient();
      const creating = failure(client.create("tiny", { memoryMb: 256 }));
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      await client.close();
      expect(["VALIDATION_ERROR", "BOX_NOT_RUNNING"]).toContain((await creating).code);
    }
    const other = newClient();
    expect(await other.listBoxes()).toEqual([]);
    await other.close();
  });

  it("leaves a box stopped, and free for others, whose start was under way", async () => {
    const first = newClient();
    const { id } = await first.create("tiny", { memoryMb: 256 });
    await first.close();
    const client = newClient();
    const box = await client.getBox(id);
    const starting = failure(box.start());
    await client.close();
    expect(["VALIDATION_ERROR", "BOX_NOT_RUNNING"]).toContain((await starting).code);
    const other = newClient();
    const found = await other.getBox(id);
    await found.start();
    expect((await found.exec(["echo", "free"])).stdout).toBe("free\n");
    await found.remove({ force: true });
    await other.close();
  });
});

describe("files of this machine", () => {
  const client = new BoxRunClient({ backend: "local" });
  afterAll(() => client.close());

  it("go up and down by their paths, with their mode, whole or not at all", async () => {
    const box = await client.create("tiny", { memoryMb: 256 });
    const source = join(scratch, "source");
    const target = join(scratch, "target");
    const bytes = pattern(3_000_000);
    writeFileSync(source, bytes, { mode: 0o750 });
    await box.upload(source, "/root/copy");
    expect((await box.exec("stat -c '%a %s' /root/copy")).stdout).toBe("750 3000000\n");
    await box.download("/root/copy", target);
    expect(Buffer.compare(readFileSync(target), bytes)).toBe(0);

    expect(await failure(box.download("/no/such", target))).toMatchObject({ code: "RUNTIME_ERROR" });
    expect(statSync(target).size).toBe(3_000_000);
    const missing = join(scratch, "missing");
    const error = await failure(box.upload(missing, "/root/x"));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain(missing);
    const elsewhere = join(target, "under-a-file");
    expect(await failure(box.download("/root/copy", elsewhere))).toMatchObject({ code: "VALIDATION_ERROR" });
  });
});
