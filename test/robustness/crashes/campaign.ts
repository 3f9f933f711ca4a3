import type { CampaignOptions, CampaignResult } from "../faults/campaign.js";
import { range } from "../faults/pool.js";
import { reportOf } from "./report.js";
import { type HostName, hostOf, type Outcome, runSeed } from "./run.js";

/** Lives through kills: with Node and with Chromium at once, one life each at a time. */
export async function runCampaign({ lives, from, say }: CampaignOptions): Promise<CampaignResult> {
  const outcomes: Outcome[] = [];
  const work = async (host: HostName) => {
    for (const seed of range(from, lives)) {
      if (hostOf(seed) !== host) continue;
      const outcome = await runSeed(seed);
      outcomes.push(outcome);
      for (const violation of outcome.violations) say(violation);
      say(
        `${outcomes.length} lives; seed ${seed}: ${outcome.tally.kills} kills in ${Math.round(outcome.ms / 1000)} s`,
      );
    }
  };
  await Promise.all([work("node"), work("chromium")]);
  const violations = outcomes.reduce((sum, outcome) => sum + outcome.violations.length, 0);
  return { report: reportOf(outcomes), violations };
}
