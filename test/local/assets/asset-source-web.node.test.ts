import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failure } from "../../../src/testing/contract/tools.js";
import { ROOT } from "../../root.js";

const ASSETS = join(ROOT, "dist/assets");

/** What the server does with a request instead of answering it; undefined: it answers. */
type Fault = (path: string, request: IncomingMessage, response: ServerResponse) => boolean;

let server: Server;
let url: string;
let cache: string;
let asked: string[];
let fault: Fault;
const clients: BoxRunClient[] = [];
beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), "boxrun-cache-"));
  asked = [];
  fault = () => false;
  server = createServer((request, response) => {
    const path = (request.url ?? "").slice(1);
    asked.push(path);
    if (fault(path, request, response)) return;
    try {
      response.end(readFileSync(join(ASSETS, path)));
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await down();
  rmSync(cache, { recursive: true });
});

async function down(): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // After it has stopped listening, or it would wait for one that has come between.
  server.closeAllConnections();
  await closed;
}

function newClient(local: object = {}): BoxRunClient {
  const client = new BoxRunClient({
    backend: "local",
    local: { assets: url, cache, persistent: false, ...local },
  });
  clients.push(client);
  return client;
}

const small = (client: BoxRunClient) => client.create("tiny", { memoryMb: 256 });
const isChunk = (path: string) => path.startsWith("chunks/");
const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");
const IO_ERROR = /I\/O error|input\/output error/i;
const IO_ERRORS = /I\/O error/g;
/** Reads all of the image's largest file, past what the boot image has of it. */
const READ_ALL = "echo 3 > /proc/sys/vm/drop_caches; md5sum < /usr/bin/busybox";

describe("assets on a web server", () => {
  it("are fetched when they are needed, each once, and kept for the times without a network", async () => {
    const first = await small(newClient());
    // The emulator looks at the first sector.
    expect(asked.filter(isChunk)).toHaveLength(1);
    const { stdout } = await first.exec(READ_ALL);
    const chunks = asked.filter(isChunk);
    expect(chunks.length).toBeGreaterThan(0);
    expect(new Set(chunks).size).toBe(chunks.length);
    await down();
    const second = await small(newClient());
    expect((await second.exec(READ_ALL)).stdout).toBe(stdout);
  });

  it("start a box again, which they made, without asking for anything else", async () => {
    const kept = { persistent: true, state: join(cache, "state") };
    const client = newClient(kept);
    const first = await small(client);
    const { id } = first;
    // What it reads of the image is kept, too.
    await first.exec(["echo", "online"]);
    await client.close();
    await down();
    const again = await newClient(kept).getBox(id);
    await again.start();
    expect(again.info.local).toMatchObject({ boot: "snapshot", warnings: [] });
    expect((await again.exec(["echo", "offline"])).stdout).toBe("offline\n");
  });

  it("leave alone what else is in the folder that they are kept in", async () => {
    const own = ["manifest.json", "notes.txt"].map((name) => join(cache, name));
    for (const path of own) writeFileSync(path, "mine");
    await newClient().images();
    for (const path of own) expect(readFileSync(path, "utf8")).toBe("mine");
  });

  it("are asked for again when the server stumbles", async () => {
    const seen = new Map<string, number>();
    fault = (path, _, response) => {
      const times = (seen.get(path) ?? 0) + 1;
      seen.set(path, times);
      if (times === 1) response.writeHead(503, { "retry-after": "0" }).end();
      if (times === 2) response.destroy();
      return times <= 2;
    };
    const box = await small(newClient());
    expect(box.info.local).toMatchObject({ boot: "snapshot", warnings: [] });
    expect((await box.exec(READ_ALL)).exitCode).toBe(0);
  });

  it.each([
    ["has other bytes", (path: string) => readFileSync(join(ASSETS, path)).fill(0, 100, 110)],
    ["is cut short", (path: string) => readFileSync(join(ASSETS, path)).subarray(0, 100)],
    ["is a page of HTML", () => "<!doctype html>"],
  ])("never reach the guest when a chunk %s", async (_, spoiled) => {
    fault = (path, _request, response) => {
      if (isChunk(path)) response.end(spoiled(path));
      return isChunk(path);
    };
    for (const memoryMb of [256, 300]) {
      const error = await failure(newClient().create("tiny", { memoryMb }));
      expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
      expect(error.message).toMatch(
        /chunks\/[0-9a-f]+\.bin .*(cannot be decompressed|does not match its hash)/,
      );
    }
  });

  it("that are damaged fail what reads them, by name, and the box goes on", async () => {
    const box = await small(newClient());
    fault = (path, _request, response) => {
      if (isChunk(path)) response.end("damaged");
      return isChunk(path);
    };
    const failed = await box.exec(READ_ALL);
    expect(failed.exitCode).not.toBe(0);
    expect(failed.stderr).toMatch(IO_ERROR);
    const { status, local } = await box.refresh();
    expect(status).toBe("running");
    expect(local?.warnings).toEqual([
      expect.stringMatching(
        /^damaged or missing: .*chunks\/[0-9a-f]+\.bin .*(cannot be decompressed|does not match its hash)/,
      ),
    ]);
    fault = () => false;
    expect((await box.exec(READ_ALL)).exitCode).toBe(0);
    expect((await box.refresh()).local?.warnings).toEqual([]);
  });

  it("that are damaged in the cache are fetched again", async () => {
    await (await small(newClient())).exec(READ_ALL);
    for (const name of readdirSync(join(cache, "boxrun-assets/chunks")))
      writeFileSync(join(cache, "boxrun-assets/chunks", name), "damaged");
    asked = [];
    const box = await small(newClient());
    expect((await box.exec(READ_ALL)).exitCode).toBe(0);
    expect(asked.filter(isChunk).length).toBeGreaterThan(0);
    asked = [];
    expect((await (await small(newClient())).exec(READ_ALL)).exitCode).toBe(0);
    expect(asked.filter(isChunk)).toEqual([]);
  });

  // Each waits for as long as chunks are asked for again.
  describe("whose host goes away", () => {
    const goAway = () => {
      fault = (path, _, response) => {
        if (isChunk(path)) response.destroy();
        return isChunk(path);
      };
    };

    it("fail what reads them with an input/output error, and the box says offline, goes on, and reads again", async () => {
      const before = await small(newClient());
      const busybox = await before.files.read("/usr/bin/busybox");
      rmSync(join(cache, "boxrun-assets/chunks"), { recursive: true });
      const box = await small(newClient());
      // On its own disk: what reads the image must not be in the image.
      await box.files.write("/tmp/b/busybox", busybox, { mode: 0o755 });
      const run = (script: string) => box.exec(["/tmp/b/busybox", "sh", "-c", script]);
      const read = (count: number) =>
        run(
          `PATH=/tmp/b; for i in $(busybox seq ${count}); do echo 3 > /proc/sys/vm/drop_caches; busybox md5sum /usr/bin/busybox; done`,
        );
      goAway();
      // More often than a drive may fail before Linux thinks less of it.
      const offline = await read(30);
      expect(offline.stdout).toBe("");
      expect(offline.stderr.match(IO_ERRORS)).toHaveLength(30);
      const { status, local } = await box.refresh();
      expect(status).toBe("running");
      expect(local?.warnings).toEqual([expect.stringMatching(/^offline: .*chunks\/.*client\.pull/)]);
      // Its own disk is on the same channel.
      const own = await run("echo kept > /root/file; /tmp/b/busybox sync; read x < /root/file; echo $x");
      expect(own.stdout).toBe("kept\n");
      fault = () => false;
      expect((await read(1)).stdout).toBe(`${md5(busybox)}  /usr/bin/busybox\n`);
      expect((await box.refresh()).local?.warnings).toEqual([]);
      const log = (await run("/tmp/b/busybox dmesg")).stdout;
      expect(log).toContain("configured for MWDMA2");
      expect(log).not.toMatch(/hard resetting|soft resetting|limiting|timeout|PIO|offline/i);
    });

    it("fail a creation by name, and say offline", async () => {
      goAway();
      const error = await failure(small(newClient()));
      expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED", retryable: true });
      expect(error.message).toMatch(/chunks\/.*network.*client\.pull/);
    });
  });

  it("that are not there at all fail a creation by name", async () => {
    fault = (path, _, response) => {
      if (path !== "manifest.json") response.writeHead(404).end();
      return path !== "manifest.json";
    };
    const error = await failure(small(newClient()));
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toContain("404");
  });

  it("can be fetched whole, with progress, and the fetching given up", async () => {
    const client = newClient();
    const image = (await client.images()).find(({ name }) => name === "tiny")!;
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = () => controller.abort(reason);
    expect(await failure(client.pull("tiny", { signal: controller.signal, onProgress }))).toBe(reason);

    const steps: number[] = [];
    await client.pull("tiny", {
      onProgress: ({ loadedBytes, totalBytes }) => {
        expect(totalBytes).toBe(image.totalBytes);
        steps.push(loadedBytes);
      },
    });
    expect(steps.at(-1)).toBe(image.totalBytes);
    await down();
    const offline = await newClient().create("tiny");
    expect((await offline.exec(READ_ALL)).exitCode).toBe(0);
  });
});

describe("images that only stand in", () => {
  it("are refused under strictImages, and said by name otherwise", async () => {
    const strict = newClient({ strictImages: true });
    const error = await failure(strict.create("python:3.12-slim"));
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error.message).toMatch(/only a stand-in: Debian 13/);
    const box = await strict.create("busybox", { memoryMb: 256 }).catch((caught) => caught);
    expect(box.info?.local?.image).toMatch(/BusyBox/);
    const loose = await newClient().create("ubuntu:24.04", { memoryMb: 256 });
    expect(loose.info).toMatchObject({
      image: "ubuntu:24.04",
      local: { image: expect.stringMatching(/^Debian 13/) },
    });
  });
});
