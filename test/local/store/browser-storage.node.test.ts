import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FlushLog } from "../../robustness/crashes/flush-log.js";
import type { Said } from "../../robustness/crashes/owner.js";
import { ROOT } from "../../root.js";
import { BrowserProfile, type PageScope } from "../browser-profile.js";
import { CHECKER, checkDisk, intact, WRITER, writeDisk } from "../check-disk.js";

// The functions given to `evaluate` run in the page, where these are global.
declare const client: PageScope["client"];
declare const newClient: PageScope["newClient"];
declare const failure: PageScope["failure"];
declare const calls: PageScope["calls"];
declare const readRecord: PageScope["readRecord"];
declare const writeRecord: PageScope["writeRecord"];
declare const readDisk: PageScope["readDisk"];
declare const databases: PageScope["databases"];
declare const removeDatabase: PageScope["removeDatabase"];
declare const ageDatabase: PageScope["ageDatabase"];

let profile: BrowserProfile;
let scratch: string;
beforeEach(async () => {
  profile = await BrowserProfile.create("--host-resolver-rules=MAP insecure.test 127.0.0.1");
  scratch = mkdtempSync(join(tmpdir(), "boxrun-scratch-"));
});
afterEach(async () => {
  await profile.close();
  rmSync(scratch, { recursive: true });
});

const createBox = (page: Page, name: string) =>
  page.evaluate(async (boxName) => (await client.create("tiny", { name: boxName, memoryMb: 256 })).id, name);

const run = (page: Page, name: string, cmd: string) =>
  page.evaluate(
    async ([boxName, command]) => {
      const box = await client.getBox(boxName!);
      if (box.info.status !== "running") await box.start();
      return (await box.exec(command!)).stdout;
    },
    [name, cmd],
  );

const statusOf = (page: Page, name: string) =>
  page.evaluate(async (boxName) => (await client.getBox(boxName)).info.status, name);

/** A box that writes without end. `written` resolves when it has that many records; `last` is the last number that was said. */
async function startWriter(page: Page, name: string) {
  const writer = { last: 0, written: (_records: number): Promise<void> => Promise.resolve() };
  let onRecord = () => {};
  writer.written = (records) =>
    new Promise((resolve) => {
      onRecord = () => {
        if (writer.last >= records) resolve();
      };
      onRecord();
    });
  await page.exposeFunction("report", ({ line }: Said) => {
    if (line === undefined) return;
    writer.last = Math.max(writer.last, Number(line));
    onRecord();
  });
  await createBox(page, name);
  page.evaluate(([boxName, command]) => calls["write"]!(boxName, command), [name, WRITER]).catch(() => {});
  return writer;
}

/** What e2fsck says of a box's disk, and what the box itself finds of its records. */
async function expectIntact(page: Page, name: string, last: number): Promise<void> {
  const id = await page.evaluate(async (boxName) => (await client.getBox(boxName)).id, name);
  const disk = join(scratch, "disk");
  writeDisk(disk, await page.evaluate((boxId) => readDisk(boxId), id));
  checkDisk(disk, scratch);
  expect(await run(page, name, CHECKER(last))).toBe(intact(last));
}

describe("a box in a browser", () => {
  it.each([2, 9])("has every record it had synced when the browser was killed (%d)", async (records) => {
    const writer = await startWriter(await profile.open(), "killed");
    await writer.written(records);
    await profile.kill();
    const page = await profile.open();
    expect(await statusOf(page, "killed")).toBe("stopped");
    await expectIntact(page, "killed", writer.last);
  });

  it("has every record it had synced when its page was reloaded", async () => {
    const page = await profile.open();
    const writer = await startWriter(page, "reloaded");
    await writer.written(5);
    await page.reload();
    await page.locator("html[data-ready]").waitFor();
    await expectIntact(page, "reloaded", writer.last);
  });

  it.each(["reloaded", "killed"])(
    "has what commands and uploads wrote without a sync, whole, when it is %s after the flush that follows",
    async (end) => {
      const flushes = new FlushLog();
      let page = await profile.open();
      await page.exposeFunction("report", (said: Said) => flushes.hear(said));
      await createBox(page, "soon");
      await run(page, "soon", "cd /root; echo old > f; echo old > g; echo 1 > h");
      await run(page, "soon", "cd /root; echo new > f; echo new > g.new; mv g.new g; echo 2 >> h");
      await page.evaluate(async () => (await client.getBox("soon")).files.write("/root/i", "put"));
      await flushes.settled();
      if (end === "reloaded") await page.reload();
      else {
        await profile.kill();
        page = await profile.open();
      }
      await page.locator("html[data-ready]").waitFor();
      expect(await run(page, "soon", "cd /root; cat f g h i")).toBe("new\nnew\n1\n2\nput");
      await page.evaluate(async () => (await client.getBox("soon")).stop());
      await expectIntact(page, "soon", 0);
    },
  );

  it("is another tab's once its own has crashed", async () => {
    const owner = await profile.open();
    const writer = await startWriter(owner, "crashed");
    await writer.written(3);
    const page = await profile.open();
    expect(await statusOf(page, "crashed")).toBe("running");
    const locked = page.evaluate(async () => failure((await client.getBox("crashed")).exec("true")));
    expect(await locked).toMatchObject({ code: "BOX_LOCKED", retryable: true });
    const crashed = owner.waitForEvent("crash");
    owner.goto("chrome://crash").catch(() => {});
    await crashed;
    await expect.poll(() => statusOf(page, "crashed")).toBe("stopped");
    await expectIntact(page, "crashed", writer.last);
  });

  it("ends with STORAGE_FULL and its data whole when its site may store no more, and goes on once it may", async () => {
    const page = await profile.open();
    const browser = await page.context().newCDPSession(page);
    const origin = new URL(page.url()).origin;
    await browser.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 32 * 2 ** 20 });
    await createBox(page, "full");
    await run(page, "full", "echo safe > /root/f; sync");
    const { error, info } = await page.evaluate(async () => {
      const box = await client.getBox("full");
      // What compresses well is no load: the browser counts what it has written.
      const fill =
        "head -c 1000000 /dev/urandom > /root/r; for i in $(seq 40); do cat /root/r >> /root/big; done; sync";
      return { error: await failure(box.exec(fill)), info: await box.refresh() };
    });
    expect(error).toMatchObject({ code: "STORAGE_FULL", retryable: false });
    expect(info).toMatchObject({ status: "error", errorCode: "STORAGE_FULL" });
    await browser.send("Storage.overrideQuotaForOrigin", { origin });
    expect(await run(page, "full", "cat /root/f")).toBe("safe\n");
    await page.evaluate(async () => (await client.getBox("full")).stop());
    await expectIntact(page, "full", 0);
  });

  it("that finds no room at all is not created, and leaves nothing", async () => {
    const page = await profile.open();
    const browser = await page.context().newCDPSession(page);
    const { origin } = new URL(page.url());
    await browser.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
    const error = await page.evaluate(() => failure(client.create("tiny", { memoryMb: 256 })));
    expect(error).toMatchObject({ code: "STORAGE_FULL" });
    expect(await page.evaluate(() => databases())).toEqual([]);
    expect(await page.evaluate(() => client.listBoxes())).toEqual([]);
  });

  it("is gone, and says so, when the browser has evicted it", async () => {
    const page = await profile.open();
    const id = await createBox(page, "evicted");
    await page.evaluate(async (boxId) => (await client.getBox(boxId)).stop(), id);
    const left = await page.evaluate(async (boxId) => {
      const box = await client.getBox(boxId);
      await removeDatabase(boxId);
      return {
        refresh: await failure(box.refresh()),
        start: await failure(box.start()),
        list: await client.listBoxes(),
      };
    }, id);
    expect(left).toMatchObject({
      refresh: { code: "BOX_NOT_FOUND" },
      start: { code: "BOX_NOT_FOUND" },
      list: [],
    });
  });

  it("ends by name when it is evicted while it runs", async () => {
    const page = await profile.open();
    await createBox(page, "evicted");
    const ended = await page.evaluateHandle(async () => {
      const box = await client.getBox("evicted");
      let ended!: Promise<unknown>;
      await new Promise((begun) => {
        const writing = "echo begun; while :; do echo x > /root/f; sync; done";
        ended = failure(box.exec(writing, { onStdout: begun }));
      });
      return { ended };
    });
    const browser = await page.context().newCDPSession(page);
    const { origin } = new URL(page.url());
    await browser.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
    const error = await ended.evaluate(({ ended }) => ended);
    expect(error).toMatchObject({ code: "STATE_MISMATCH", message: expect.stringContaining("evict") });
    const list = () => page.evaluate(async () => [...(await client.listBoxes()), ...(await databases())]);
    await expect.poll(list).toEqual([]);
  });

  it("gives its space back when it is removed", async () => {
    const page = await profile.open();
    const id = await createBox(page, "removed");
    expect(await page.evaluate(() => databases())).toEqual([`boxrun:${id}`]);
    await page.evaluate(async () => (await client.getBox("removed")).remove({ force: true }));
    expect(await page.evaluate(() => databases())).toEqual([]);
  });

  it("is made once when two tabs ask for one name at once", async () => {
    const pages = [await profile.open(), await profile.open()];
    const made = await Promise.all(
      pages.map((page) =>
        page.evaluate(() => failure(client.create("tiny", { name: "only", memoryMb: 256 }))),
      ),
    );
    expect(made.filter((error) => error === undefined)).toHaveLength(1);
    expect(made.find((error) => error !== undefined)).toMatchObject({ code: "NAME_ALREADY_EXISTS" });
  });
});

describe("a page that may keep nothing", () => {
  it.each([
    ["is not served securely", { host: "insecure.test" }, /https/],
    [
      "is refused storage",
      {
        before:
          "IDBFactory.prototype.databases = async () => { throw new DOMException('no', 'SecurityError') }",
      },
      /does not let this page store data/,
    ],
  ])("and %s has boxes all the same, and is told that they end with it", async (_, options, why) => {
    const page = await profile.open(options);
    const { info, stdout, usage } = await page.evaluate(async () => {
      const box = await client.create("tiny", { memoryMb: 256 });
      await box.exec("echo here > /root/f");
      await box.stop();
      await box.start();
      return { info: box.info, usage: await box.usage(), stdout: (await box.exec("cat /root/f")).stdout };
    });
    expect(info.local).toMatchObject({ persistent: false, warnings: [expect.stringMatching(why)] });
    expect(usage.persistent).toBe(false);
    expect(stdout).toBe("here\n");
  });
});

describe("a page that is not served securely", () => {
  it("has no network for its boxes, and says so", async () => {
    const page = await profile.open({ host: "insecure.test" });
    const { network, refused } = await page.evaluate(async () => ({
      network: (await client.info()).capabilities.network,
      refused: await failure(client.create("tiny", { memoryMb: 256, network: true })),
    }));
    expect(network).toMatch(/^a page without https has no WebCrypto/);
    expect(refused).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/without https.*local\.relay/),
    });
  });

  it("has volumes that take files", async () => {
    const page = await profile.open({ host: "insecure.test" });
    const text = await page.evaluate(`(async () => {
      const { memoryVolume } = await import("/dist/browser/local.js");
      const volumes = [{ source: memoryVolume(), guestPath: "/work" }];
      const box = await client.create("tiny", { memoryMb: 256, volumes });
      await box.files.write("/work/note.txt", "hello");
      return box.files.read("/work/note.txt", "utf8");
    })()`);
    expect(text).toBe("hello");
  });
});

describe("what another version has stored", () => {
  it.each([
    [
      "a record",
      (page: Page, id: string) =>
        page.evaluate(async (boxId) => writeRecord(boxId, { ...(await readRecord(boxId)), version: 99 }), id),
    ],
    ["a database", (page: Page, id: string) => page.evaluate((boxId) => ageDatabase(boxId), id)],
  ])("is refused by name when it is newer, shown and removed: %s", async (_, age) => {
    const page = await profile.open();
    const id = await createBox(page, "newer");
    await page.evaluate(async (boxId) => (await client.getBox(boxId)).stop(), id);
    await age(page, id);
    const seen = await page.evaluate(async (boxId) => {
      const list = await client.listBoxes();
      const box = await client.getBox(boxId);
      const start = await failure(box.start());
      const other = await client.create("tiny", { name: "newer", memoryMb: 256 });
      await other.remove({ force: true });
      await box.remove();
      return { list, start, databases: await databases() };
    }, id);
    expect(seen).toMatchObject({
      list: [{ id, status: "error", errorCode: "STATE_MISMATCH" }],
      start: { code: "STATE_MISMATCH", message: expect.stringContaining("newer version") },
      databases: [],
    });
  });

  it("is brought up to date when it is older", async () => {
    const old = JSON.parse(readFileSync(join(ROOT, "test/fixtures/box-v1/box.json"), "utf8"));
    const page = await profile.open();
    const id = await createBox(page, "newer");
    await run(page, "newer", "echo kept > /root/f");
    await page.evaluate(async (boxId) => (await client.getBox(boxId)).stop(), id);
    await page.evaluate(([boxId, record]) => writeRecord(boxId, { ...record, id: boxId }), [id, old]);
    expect(await run(page, "old", "cat /root/f")).toBe("kept\n");
    await page.evaluate(async () => (await client.getBox("old")).stop());
    expect(await page.evaluate((boxId) => readRecord(boxId), id)).toMatchObject({ version: 2, id });
  });
});
