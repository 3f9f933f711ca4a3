import { runTreeModel } from "../../local/volumes/tree-model.js";
import type { CampaignOptions, CampaignResult } from "../faults/campaign.js";
import { range } from "../faults/pool.js";
import { Random } from "../faults/random.js";

const STEPS = 500;
const COMPARE_EVERY = 50;
const SAY_EVERY = 500;

/** Compares the files of a volume in memory with those of the host, in a random history for each seed. */
export async function runCampaign({ seeds, from, say }: CampaignOptions): Promise<CampaignResult> {
  const refusals = new Set<string>();
  let violations = 0;
  let runs = 0;
  for (const seed of range(from, seeds)) {
    try {
      for (const errno of await runTreeModel(new Random(seed), { steps: STEPS, compareEvery: COMPARE_EVERY }))
        refusals.add(errno);
    } catch (error) {
      violations++;
      say(`volumes, seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
    if (++runs % SAY_EVERY === 0) say(`${runs} histories`);
  }
  const calls = `${runs * STEPS} calls in ${runs} histories`;
  return {
    report: `${calls}, ${violations} violations. Refused with ${[...refusals].sort().join(", ")}.`,
    violations,
  };
}
