import type { BoxHandle } from "boxrun";
import type { Page } from "playwright";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BrowserProfile, type PageScope } from "../browser-profile.js";

// The functions given to `evaluate` run in the page, where these are global.
declare const newClient: PageScope["newClient"];
declare const newClientFrom: PageScope["newClientFrom"];
declare const failure: PageScope["failure"];
declare const spoilCache: PageScope["spoilCache"];

let profile: BrowserProfile;
beforeEach(async () => {
  profile = await BrowserProfile.create();
});
afterEach(() => profile.close());

const isAsset = (path: string) => path.startsWith("/dist/assets/");
const isChunk = (path: string) => path.startsWith("/dist/assets/chunks/");
/** Reads all of the image's largest file, past what the boot image has of it. */
const READ_ALL = "echo 3 > /proc/sys/vm/drop_caches; md5sum < /usr/bin/busybox";

/** What a new client's new box says of its image, and what was told of the way there. */
const visit = (page: Page, local: object = {}) =>
  page.evaluate(
    async ([options, cmd]) => {
      const client = newClient({ persistent: false, ...(options as object) });
      const steps: { phase: string; loadedBytes?: number; totalBytes?: number }[] = [];
      const onProgress = (step: (typeof steps)[number]) => steps.push(step);
      const box = await client.create("tiny", { memoryMb: 256, onProgress });
      const { stdout } = await box.exec(cmd as string);
      await client.close();
      return { stdout, boot: box.info.local?.boot, steps };
    },
    [local, READ_ALL],
  );

describe("assets in a browser", () => {
  it("are fetched once, with progress to the last byte, and kept", async () => {
    const page = await profile.open();
    const first = await visit(page);
    const loads = first.steps.filter(
      ({ phase, loadedBytes }) => phase === "download" && loadedBytes !== undefined,
    );
    const loaded = loads.map(({ loadedBytes }) => loadedBytes!);
    expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
    expect(loads.at(-1)!.loadedBytes).toBe(loads.at(-1)!.totalBytes);
    const phases = first.steps.map(({ phase }) => phase);
    expect(phases.filter((phase, i) => phase !== phases[i - 1])).toEqual([
      "download",
      "boot",
      "setup",
      "ready",
    ]);

    profile.asked = [];
    await page.reload();
    await page.locator("html[data-ready]").waitFor();
    expect((await visit(page)).stdout).toBe(first.stdout);
    expect(profile.asked.filter(isAsset)).toEqual(["/dist/assets/manifest.json"]);
  });

  it("start a box again on a second visit that has no network at all", async () => {
    const page = await profile.open();
    await page.evaluate(async () => {
      const box = await newClient().create("tiny", { name: "kept", memoryMb: 256 });
      // What it reads of the image is kept, too.
      await box.exec(["echo", "online"]);
    });
    await page.reload();
    await page.locator("html[data-ready]").waitFor();
    profile.fault = (path, _, response) => {
      if (isAsset(path)) response.destroy();
      return isAsset(path);
    };
    const info = await page.evaluate(async () => {
      const box = await newClient().getBox("kept");
      await box.start();
      const { stdout } = await box.exec(["echo", "offline"]);
      return { stdout, local: box.info.local };
    });
    expect(info).toMatchObject({ stdout: "offline\n", local: { boot: "snapshot", warnings: [] } });
  });

  it("are asked for again when their host stumbles", async () => {
    const seen = new Map<string, number>();
    profile.fault = (path, _, response) => {
      if (!isAsset(path)) return false;
      const times = (seen.get(path) ?? 0) + 1;
      seen.set(path, times);
      if (times === 1) response.writeHead(503, { "retry-after": "0" }).end();
      if (times === 2) response.destroy();
      return times <= 2;
    };
    const { boot } = await visit(await profile.open());
    expect(boot).toBe("snapshot");
  });

  it("that are damaged in the cache are fetched again, and mend it", async () => {
    const page = await profile.open();
    const { stdout } = await visit(page);
    // The browser's own cache over HTTP is none to trust, either: what is fetched anew is fetched past it.
    expect(await page.evaluate(() => spoilCache("/dist/assets/chunks/"))).toBeGreaterThan(0);
    expect(await page.evaluate(() => spoilCache("/dist/assets/v86"))).toBe(1);
    profile.asked = [];
    expect((await visit(page)).stdout).toBe(stdout);
    expect(profile.asked.filter(isChunk).length).toBeGreaterThan(0);
    profile.asked = [];
    expect((await visit(page)).stdout).toBe(stdout);
    expect(profile.asked.filter(isChunk)).toEqual([]);
  });

  it("fail what reads them while their host is away, and the box says offline and goes on", async () => {
    const page = await profile.open();
    await page.evaluate(async () => {
      const box = await newClient({ persistent: false }).create("tiny", { memoryMb: 256 });
      // Held in the page: the box must outlive this call.
      Object.assign(globalThis, { box });
    });
    const read = () =>
      page.evaluate(async (cmd) => {
        const { box } = globalThis as unknown as { box: BoxHandle };
        const { exitCode, stderr } = await box.exec(cmd);
        const { status, local } = await box.refresh();
        return { exitCode, stderr, status, warnings: local?.warnings };
      }, READ_ALL);
    profile.fault = (path, _, response) => {
      if (isChunk(path)) response.destroy();
      return isChunk(path);
    };
    const offline = await read();
    expect(offline).toMatchObject({
      status: "running",
      warnings: [expect.stringMatching(/^offline: .*chunks\/.*client\.pull/)],
    });
    expect(offline.exitCode).not.toBe(0);
    expect(offline.stderr).toMatch(/I\/O error|input\/output error/);
    profile.fault = () => false;
    expect(await read()).toMatchObject({ exitCode: 0, status: "running" });
  });

  it("fail a creation by name when they are not what the manifest says", async () => {
    profile.fault = (path, _, response) => {
      if (isChunk(path)) response.end("<!doctype html>");
      return isChunk(path);
    };
    const page = await profile.open();
    const error = await page.evaluate(() =>
      failure(newClient({ persistent: false }).create("tiny", { memoryMb: 256 })),
    );
    expect(error).toMatchObject({
      code: "IMAGE_PULL_FAILED",
      message: expect.stringMatching(/chunks\/.*(cannot be decompressed|does not match its hash)/),
    });
  });
});

describe("a package on a host of its own", () => {
  it("runs in a page of another origin", async () => {
    const cdn = await BrowserProfile.create();
    cdn.fault = (_, __, response) => {
      response.setHeader("access-control-allow-origin", "*");
      return false;
    };
    try {
      const page = await profile.open();
      const stdout = await page.evaluate(async (location) => {
        const client = await newClientFrom(location);
        const box = await client.create("tiny", { memoryMb: 256 });
        const result = await box.exec("echo from afar");
        await client.close();
        return result.stdout;
      }, `http://127.0.0.1:${cdn.port}/`);
      expect(stdout).toBe("from afar\n");
      expect(profile.asked.filter(isAsset)).toEqual([]);
    } finally {
      await cdn.close();
    }
  });
});
