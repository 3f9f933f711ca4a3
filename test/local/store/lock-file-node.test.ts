import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isLockHeld, takeFirstLock, takeLock } from "../../../src/local/store/lock-file-node.js";
import { ROOT } from "../../root.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const locks = () => readdirSync(folder).filter((name) => name.startsWith("lock."));

/** What this process writes where it can have no socket, to be changed. */
async function ownFile(): Promise<Record<string, string | number>> {
  const release = await takeLock(folder);
  const [name] = locks();
  const { socket: _, ...owner } = JSON.parse(readFileSync(join(folder, name!), "utf8"));
  await release!();
  for (const file of locks()) rmSync(join(folder, file));
  return owner;
}

describe("a lock file", () => {
  it("has one owner, until it is released", async () => {
    const release = await takeLock(folder);
    expect(await takeLock(folder)).toBeNull();
    expect(await isLockHeld(folder)).toBe(true);
    await release!();
    await release!();
    expect(await isLockHeld(folder)).toBe(false);
    expect(await takeLock(folder)).not.toBeNull();
    expect(locks()).toEqual(["lock.2"]);
  });

  const dead = () => spawnSync(process.execPath, ["-e", ""]).pid!;
  const renamed = ({ where }: Record<string, string | number>) =>
    String(where).replace(hostname(), "renamed");
  it.each([
    ["of a process that has ended", (own: object) => ({ ...own, pid: dead() }), false],
    ["of an earlier process with this number", (own: object) => ({ ...own, started: "1" }), false],
    [
      "of an earlier boot of this machine",
      (own: object) => ({ ...own, where: `${hostname()}/other-boot/` }),
      false,
    ],
    [
      "of a process that has ended, on this machine under the name it had then",
      (own: Record<string, string | number>) => ({ ...own, where: renamed(own), pid: dead() }),
      false,
    ],
    [
      "of a process here that started when the machine had another name",
      (own: Record<string, string | number>) => ({ ...own, where: renamed(own) }),
      true,
    ],
    ["that a power cut left half written", () => '{"pid":', false],
    ["of a process here", (own: object) => own, true],
    [
      "of a process elsewhere, of which nothing can be known",
      (own: object) => ({ ...own, where: "elsewhere/x/y", local: false }),
      true,
    ],
  ])("%s", async (_, change, held) => {
    const own = await ownFile();
    const text = change(own);
    writeFileSync(join(folder, "lock.5"), typeof text === "string" ? text : JSON.stringify(text));
    expect(await isLockHeld(folder)).toBe(held);
    const release = await takeLock(folder);
    expect(release === null).toBe(held);
    if (!held) expect(locks()).toEqual(["lock.6"]);
  });

  it("that is taken by many at once, over a dead owner's, goes to one", async () => {
    const own = await ownFile();
    writeFileSync(join(folder, "lock.3"), JSON.stringify({ ...own, pid: dead() }));
    for (let round = 0; round < 20; round++) {
      const taken = (await Promise.all(Array.from({ length: 16 }, () => takeLock(folder)))).filter(Boolean);
      expect(taken.length).toBeLessThanOrEqual(1);
      const release = taken[0] ?? (await takeLock(folder));
      expect(release).not.toBeNull();
      // Released while others try.
      const [, ...others] = await Promise.all([
        release!(),
        ...Array.from({ length: 8 }, () => takeLock(folder)),
      ]);
      const next = others.filter(Boolean);
      expect(next.length).toBeLessThanOrEqual(1);
      await next[0]?.();
    }
  });

  /** As a process in another container writes it, whose process numbers mean nothing here. */
  const fromContainer = (own: Record<string, string | number>, change: object = {}) => {
    const where = String(own["where"]).replace(/[^/]*$/, "pid:[1]");
    writeFileSync(join(folder, "lock.5"), JSON.stringify({ ...own, where, pid: 1, ...change }));
  };
  /** A process that listens as an owner does, until it is killed. */
  async function owner(socket: string) {
    const script = `require("net").createServer().listen(${JSON.stringify(join(folder, socket))}, () => console.log())`;
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    return child;
  }

  it("of a process in another container is held until that is killed", async () => {
    const socket = ".live-0123abcd";
    const child = await owner(socket);
    fromContainer(await ownFile(), { socket });
    expect(await isLockHeld(folder)).toBe(true);
    expect(await takeLock(folder)).toBeNull();
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await isLockHeld(folder)).toBe(false);
    expect(await takeLock(folder)).not.toBeNull();
    expect(locks()).toEqual(["lock.6"]);
  });

  it.each([
    ["without a socket", { socket: undefined }],
    ["whose socket is missing", { socket: ".live-76543210" }],
    ["whose socket would be elsewhere", { socket: "../.live-0123abcd" }],
    ["on a file system that machines share", { socket: ".live-0123abcd", local: false }],
  ])("of a process in another container %s is held: nothing is known of it", async (_, change) => {
    const child = await owner(".live-0123abcd");
    child.kill("SIGKILL");
    await once(child, "exit");
    fromContainer(await ownFile(), change);
    expect(await isLockHeld(folder)).toBe(true);
  });

  it("of another boot is free where the file system is this kernel's alone, whatever the machine was called", async () => {
    const own = await ownFile();
    const write = (change: object) =>
      writeFileSync(
        join(folder, "lock.5"),
        JSON.stringify({ ...own, where: "0123abcd/other-boot/x", ...change }),
      );
    write({ local: false });
    expect(await isLockHeld(folder)).toBe(true);
    write({});
    expect(await isLockHeld(folder)).toBe(false);
  });

  it("is listened for while it is held, in a folder that was renamed, too, and no longer", async () => {
    const draft = join(folder, "draft");
    const named = join(folder, "named");
    mkdirSync(draft);
    const release = await takeFirstLock(draft);
    renameSync(draft, named);
    const own = JSON.parse(readFileSync(join(named, "lock.1"), "utf8"));
    writeFileSync(
      join(named, "lock.1"),
      JSON.stringify({ ...own, where: own.where.replace(/[^/]*$/, "pid:[1]") }),
    );
    expect(await isLockHeld(named)).toBe(true);
    await release(named);
    expect(await isLockHeld(named)).toBe(false);
    expect(readdirSync(named)).toEqual(["lock.1"]);
  });

  it.each([
    ["in a folder that is there", (folder: string) => `await takeLock(${JSON.stringify(folder)})`],
    [
      "in a folder that it made and renamed",
      (folder: string) => `await (async () => {
        const draft = ${JSON.stringify(join(dirname(folder), "draft"))};
        fs.mkdirSync(draft);
        await takeFirstLock(draft);
        fs.rmdirSync(${JSON.stringify(folder)});
        fs.renameSync(draft, ${JSON.stringify(folder)});
      })()`,
    ],
  ])("of a thread, %s, ends with that, while its process runs on", async (_, take) => {
    const module = join(folder, "lock.mjs");
    await build({
      entryPoints: [join(ROOT, "src/local/store/lock-file-node.ts")],
      outfile: module,
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "error",
    });
    const box = join(folder, "box");
    mkdirSync(box);
    const script = `(async () => {
      const fs = require("node:fs");
      const { takeLock, takeFirstLock } = await import(${JSON.stringify(module)});
      ${take(box)};
      require("node:worker_threads").parentPort.postMessage("taken");
      setInterval(() => {}, 1e6);
    })()`;
    const thread = new Worker(script, { eval: true });
    await once(thread, "message");
    expect(await isLockHeld(box)).toBe(true);
    expect(await takeLock(box)).toBeNull();
    await thread.terminate();
    expect(await isLockHeld(box)).toBe(false);
    expect(await takeLock(box)).not.toBeNull();
  });

  it("clears what killed takers have left, and nothing that may be in use", async () => {
    for (const name of [".lock-a", ".live-a", ".lock-b", ".live-b", "other"])
      writeFileSync(join(folder, name), "");
    const longAgo = new Date(Date.now() - 3_600_000);
    for (const name of [".lock-a", ".live-a", "other"]) utimesSync(join(folder, name), longAgo, longAgo);
    await (await takeLock(folder))!();
    expect(readdirSync(folder).sort()).toEqual([".live-b", ".lock-b", "lock.1", "other"]);
  });

  it("does not stay taken when a step after its file fails", async () => {
    writeFileSync(join(folder, "lock.2"), "");
    // A folder cannot be removed as a file is.
    mkdirSync(join(folder, "lock.1"));
    await expect(takeLock(folder)).rejects.toThrow();
    expect(await isLockHeld(folder)).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(["lock.1", "lock.2", "lock.3"]);
  });
});
