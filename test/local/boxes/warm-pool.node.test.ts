import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import type { LocalOptions } from "boxrun/local";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failure } from "../../../src/testing/contract/tools.js";
import { checkDisk } from "../check-disk.js";

let state: string;
let client: BoxRunClient;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
});
afterEach(async () => {
  await client.close();
  rmSync(state, { recursive: true, force: true });
});

const KIND = { image: "tiny", memoryMb: 256 };

/** Resolves once the machines that it is to keep ready are on their way: what another box needs is what they need. */
async function clientWith(local: LocalOptions): Promise<BoxRunClient> {
  client = new BoxRunClient({ backend: "local", local: { state, ...local } });
  await (await client.create("tiny", { memoryMb: 128 })).remove({ force: true });
  return client;
}

const bootOf = async (options: object) =>
  (await client.create("tiny", { memoryMb: 256, ...options })).info.local?.boot;

describe("machines that are kept ready", () => {
  it("become boxes like any other, with all that was asked for, and disks that last", async () => {
    await clientWith({ warm: [KIND] });
    const box = await client.create("tiny", { ...KIND, name: "first", env: { A: "b" }, workdir: "/work" });
    expect(box.info.local).toMatchObject({ boot: "warm", warnings: [] });
    const { stdout } = await box.exec("hostname; pwd; echo $A; date +%Y; echo kept > f; sync");
    expect(stdout).toBe(`first\n/work\nb\n${new Date().getUTCFullYear()}\n`);
    await box.stop();
    checkDisk(join(state, "boxes", box.id, "disk"), state);
    await box.start();
    expect((await box.exec(["cat", "f"])).stdout).toBe("kept\n");
  });

  it("are as many as was said, each a machine of its own, and follow when they are taken", async () => {
    await clientWith({ warm: [{ ...KIND, count: 2 }] });
    const boxes = await Promise.all([1, 2, 3].map(() => client.create("tiny", KIND)));
    const boots = boxes.map(({ info }) => info.local?.boot).sort();
    expect(boots).toEqual(["snapshot", "warm", "warm"]);
    const random = await Promise.all(boxes.map((box) => box.exec("head -c 16 /dev/urandom | od -x")));
    expect(new Set(random.map(({ stdout }) => stdout)).size).toBe(3);
    for (const box of boxes) await box.remove({ force: true });
    await expect.poll(() => bootOf({}), { timeout: 30_000, interval: 1000 }).toBe("warm");
  });

  it.each([0, 30, 60, 100, 200])("may be taken while they are on their way (after %d ms)", async (ms) => {
    client = new BoxRunClient({ backend: "local", local: { state, warm: [KIND] } });
    await client.ready();
    // Where the machine is by then is what the cases differ in.
    await new Promise((resolve) => setTimeout(resolve, ms));
    const box = await client.create("tiny", KIND);
    await box.exec("echo kept > f; sync");
    await box.stop();
    await box.start();
    expect((await box.exec(["cat", "f"])).stdout).toBe("kept\n");
  });

  it("are for boxes of their image, memory and disk only", async () => {
    await clientWith({ warm: [KIND] });
    expect(await bootOf({ memoryMb: 257 })).toBe("cold");
    expect(await bootOf({ diskSizeGb: 1 })).toBe("snapshot");
    expect(await bootOf({})).toBe("warm");
  });

  it("serve boxes that are kept nowhere, too", async () => {
    await clientWith({ warm: [KIND], persistent: false });
    const box = await client.create("tiny", KIND);
    expect(box.info.local).toMatchObject({ boot: "warm", persistent: false });
    await box.exec("echo here > f; sync");
    await box.stop();
    await box.start();
    expect((await box.exec(["cat", "f"])).stdout).toBe("here\n");
  });

  it("have run what they were to run ahead, and what fails does not matter", async () => {
    const warmUp = ["sh", "-c", "echo ahead > /root/f; exit 1"];
    await clientWith({ warm: [{ ...KIND, warmUp }] });
    // One that is taken early has not run it.
    const next = async () => {
      const box = await client.create("tiny", KIND);
      const { stdout } = await box.exec("cat f");
      await box.remove({ force: true });
      return stdout;
    };
    await expect.poll(next, { timeout: 60_000, interval: 2000 }).toBe("ahead\n");
  });

  it("of an image that is not there are told when a box of it is asked for", async () => {
    await clientWith({ warm: [{ image: "nothing" }, KIND] });
    expect(await failure(client.create("nothing"))).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(await bootOf({})).toBe("warm");
  });

  it("that cannot be are refused at once, by name", async () => {
    client = new BoxRunClient({ backend: "local", local: { state, warm: [{ image: "tiny", memoryMb: 8 }] } });
    expect(await failure(client.ready())).toMatchObject({ code: "VALIDATION_ERROR" });
    for (const [warm, what] of [
      [{ image: "tiny" }, "warm"],
      [[{ image: "" }], "local.warm[0].image"],
      [[{ image: "tiny", count: -1 }], "local.warm[0].count"],
      [[{ image: "tiny", size: 1 }], "local.warm[0].size"],
      [[{ image: "tiny", warmUp: [] }], "local.warm[0].warmUp"],
    ]) {
      const make = () => new BoxRunClient({ local: { warm } as never });
      expect(make).toThrow(expect.objectContaining({ message: expect.stringContaining(what as string) }));
    }
  });
});
