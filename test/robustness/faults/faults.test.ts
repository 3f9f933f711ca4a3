import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../root.js";
import { FAKE_GROUND, realGround } from "./grounds.js";
import { range, runSeeds } from "./pool.js";
import { startReal } from "./real-servers.js";
import type { Ground, Outcome } from "./run.js";

/** What must not be is nowhere to be found; and the faults did happen. */
async function expectNone(seeds: Generator<number>, ground: Ground, concurrency: number): Promise<void> {
  const outcomes: Outcome[] = await runSeeds(seeds, ground, { concurrency });
  expect(outcomes.flatMap(({ violations }) => violations).join("\n\n")).toBe("");
  expect(outcomes.some(({ kinds }) => kinds.length > 0)).toBe(true);
  expect(new Set(outcomes.map(({ result }) => result)).size).toBeGreaterThan(1);
}

describe("behind a proxy that fails", () => {
  it("a client gives the right result or a typed error, in time, does nothing twice, and leaves nothing behind", async () => {
    await expectNone(range(1, 200), FAKE_GROUND, 16);
  }, 240_000);

  it("ends by itself, with the process", async () => {
    const args = [join(ROOT, "scripts/soak.mjs"), "--only", "faults", "--seeds", "12", "--from", "500"];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 240_000 });
    expect(stdout).toMatch(/12 runs, 0 violations/);
    expect(stderr).toMatch(/^ended by itself [\d.]+ s after all was done\n$/);
  }, 240_000);
});

describe("behind a proxy that fails, real boxes", () => {
  let servers: Awaited<ReturnType<typeof startReal>>;
  beforeAll(async () => {
    servers = await startReal();
  }, 120_000);
  afterAll(() => servers.close());

  it("are used by the same rules", async () => {
    await expectNone(range(1, 12), realGround(servers.targets), 2);
  }, 240_000);
});
