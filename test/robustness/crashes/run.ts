import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../faults/random.js";
import { ChromiumHost, NodeHost } from "./hosts.js";
import { Life, type Tally } from "./life.js";
import { describePlan, newPlan } from "./plan.js";

const HOSTS = { node: NodeHost, chromium: ChromiumHost };
export type HostName = keyof typeof HOSTS;

/** How many kills a life is planned with. */
const KILLS = 8;

/** What came of one seed. */
export interface Outcome {
  seed: number;
  host: HostName;
  tally: Tally;
  ms: number;
  /** What must not be. Empty for a life that was as it should be. */
  violations: string[];
}

/** Each seed is of one host. */
export const hostOf = (seed: number): HostName => (seed % 2 === 0 ? "node" : "chromium");

/** Lives the life of a seed. */
export async function runSeed(seed: number, kills = KILLS): Promise<Outcome> {
  const hostName = hostOf(seed);
  const plan = newPlan(new Random(seed), kills);
  const scratch = mkdtempSync(join(tmpdir(), "boxrun-life-"));
  const host = await HOSTS[hostName].create();
  const began = performance.now();
  const life = new Life(host, plan, scratch);
  try {
    await life.run();
  } finally {
    await life.close();
    await host.close();
    rmSync(scratch, { recursive: true });
  }
  const again = `npm run soak -- --only crashes --seed ${seed}`;
  return {
    seed,
    host: hostName,
    tally: life.tally,
    ms: performance.now() - began,
    violations: life.violations.map(
      (violation) =>
        `seed ${seed}, ${host.name}: ${violation}\n  plan: ${describePlan(plan)}\n  again: ${again}`,
    ),
  };
}
