import type { CampaignOptions, CampaignResult } from "../faults/campaign.js";
import { range } from "../faults/pool.js";
import { buildWatched } from "./agent-build.js";
import { whyNoJail } from "./agent-jail.js";
import { agentTarget } from "./agent-target.js";
import { fuzz, type Tally } from "./target.js";

/** A session is a dozen processes, one after the other. */
const CONCURRENCY = 3;

/** Gives the agent a session for each seed. */
export async function runCampaign({ seeds, from, say }: CampaignOptions): Promise<CampaignResult> {
  const { path, skipped } = buildWatched();
  const why = skipped ?? whyNoJail();
  if (why) return { report: `not run: ${why}`, violations: 1 };
  const began = performance.now();
  const each = Math.ceil(seeds / CONCURRENCY);
  const parts = Array.from({ length: CONCURRENCY }, (_, i) =>
    fuzz(agentTarget(path), range(from + i * each, Math.max(0, Math.min(each, seeds - i * each)))),
  );
  const tallies = await Promise.all(parts);
  for (const violation of tallies.flatMap(({ violations }) => violations)) say(violation);
  const sum = (of: (tally: Tally) => number) => tallies.reduce((total, tally) => total + of(tally), 0);
  const violations = sum((tally) => tally.violations.length);
  const taken = sum(({ accepted }) => accepted);
  const seconds = (performance.now() - began) / 1000;
  const report = `${seeds} sessions, ${(seeds / seconds).toFixed(1)} a second; ${taken} were taken whole, ${seeds - taken - violations} refused; ${violations} violations.`;
  return { report, violations };
}
