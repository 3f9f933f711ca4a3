import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isLockHeld, takeLock } from "../../src/local/state/lock-file-node.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const locks = () => readdirSync(folder).filter((name) => name.startsWith("lock."));

/** What this process writes, to be changed. */
async function ownFile(): Promise<Record<string, string | number>> {
  const release = await takeLock(folder);
  const [name] = locks();
  const owner = JSON.parse(readFileSync(join(folder, name!), "utf8"));
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
      (own: object) => ({ ...own, where: "elsewhere/x/y" }),
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
});
