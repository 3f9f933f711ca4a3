import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BoxRunClient } from "boxrun";
import { afterAll, describe, expect, it } from "vitest";
import { failure, pattern } from "../../src/testing/contract/tools.js";

const ROOT = join(import.meta.dirname, "../..");
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

  it("does not end while a call is pending", async () => {
    const { stdout } = await runScript(`
      const box = await new BoxRunClient({ backend: "local" }).create("tiny", { memoryMb: 256 });
      const execution = await box.execStream("sleep 0.5; echo one; sleep 0.5; echo two");
      for await (const event of execution) if (event.type === "log") console.log(event.data.trim());
      console.log((await (await box.execStream("sleep 0.5")).wait()).exitCode);
    `);
    expect(stdout).toBe("one\ntwo\n0\n");
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
    for (const path of [join(scratch, "missing"), scratch]) {
      const error = await failure(box.upload(path, "/root/x"));
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain(path);
    }
    const elsewhere = join(scratch, "no", "folder");
    expect(await failure(box.download("/root/copy", elsewhere))).toMatchObject({ code: "VALIDATION_ERROR" });
  });
});
