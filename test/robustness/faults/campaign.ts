import { FAKE_GROUND, realGround } from "./grounds.js";
import { range, runSeeds } from "./pool.js";
import { startReal } from "./real-servers.js";
import { reportOf } from "./report.js";
import type { Outcome } from "./run.js";

/** What `npm run soak` asks of a campaign. */
export interface CampaignOptions {
  /** How many seeds, and from which on. */
  seeds: number;
  from: number;
  /** How many of them with real boxes, from the same seed on. */
  real: number;
  /** How many lives of boxes that are killed, from the same seed on. */
  lives: number;
  concurrency: number;
  /** Called with each violation as it is found, and now and then with how far it is. */
  say: (line: string) => void;
}

/** What a campaign has found: a report in Markdown, and how much must not be. */
export interface CampaignResult {
  report: string;
  violations: number;
}

const SAY_EVERY = 500;
/** Boxes share two cores at most with everything else. */
const REAL_CONCURRENCY = 2;

/** Runs seeds behind the fault proxy. */
export async function runCampaign({
  seeds,
  from,
  real,
  concurrency,
  say,
}: CampaignOptions): Promise<CampaignResult> {
  const outcomes: Outcome[] = [];
  const onDone = (outcome: Outcome) => {
    outcomes.push(outcome);
    for (const violation of outcome.violations) say(violation);
    if (outcomes.length % SAY_EVERY === 0) say(`${outcomes.length} runs`);
  };
  await runSeeds(range(from, seeds), FAKE_GROUND, { concurrency, onDone });
  if (real > 0) {
    const servers = await startReal();
    await runSeeds(range(from, real), realGround(servers.targets), { concurrency: REAL_CONCURRENCY, onDone });
    await servers.close();
  }
  const violations = outcomes.reduce((sum, outcome) => sum + outcome.violations.length, 0);
  return { report: reportOf(outcomes), violations };
}
