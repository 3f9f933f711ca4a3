import { Worker } from "node:worker_threads";
import type { CampaignOptions, CampaignResult } from "../faults/campaign.js";
import { range } from "../faults/pool.js";
import { fuzz, type Tally } from "./target.js";
import { TARGETS } from "./targets.js";

/** Of inputs to each target, for each seed that the soak is asked for: its usual 1000 are a million inputs. */
const INPUTS_PER_SEED = 1000;
/** An input that takes this long is one without end. */
const HUNG_MS = 120_000;

/** Gives every target many inputs. One seed alone is one input again, as a violation names it. */
export async function runCampaign({ seeds, from, say }: CampaignOptions): Promise<CampaignResult> {
  // A million stacks that nobody reads take longer than all else; one input again has its stack.
  if (seeds > 1) Error.stackTraceLimit = 0;
  const inputs = seeds === 1 ? 1 : seeds * INPUTS_PER_SEED;
  const tallies: Tally[] = [];
  for (const target of seeds === 0 ? [] : TARGETS) {
    const watch = watchInputs(target.name);
    const tally = await fuzz(target, range(from, inputs), watch.onInput);
    await watch.stop();
    for (const violation of tally.violations) say(violation);
    say(`${target.name}: ${tally.inputs} inputs in ${(tally.ms / 1000).toFixed(0)} s`);
    tallies.push(tally);
  }
  return {
    report: reportOf(tallies),
    violations: tallies.reduce((sum, tally) => sum + tally.violations.length, 0),
  };
}

/** Ends the process when an input hangs: nothing else on its thread could. */
function watchInputs(name: string): { onInput: (seed: number) => void; stop: () => Promise<unknown> } {
  const current = new Float64Array(new SharedArrayBuffer(8));
  const code = `
    const { workerData } = require("node:worker_threads");
    let last = -1;
    setInterval(() => {
      if (workerData.current[0] === last) {
        require("node:fs").writeSync(2, workerData.name + ", seed " + last + ": has no end\\n");
        process.kill(process.pid, "SIGKILL");
      }
      last = workerData.current[0];
    }, workerData.hungMs);`;
  const worker = new Worker(code, { eval: true, workerData: { current, name, hungMs: HUNG_MS } });
  return {
    onInput: (seed) => {
      current[0] = seed;
    },
    stop: () => worker.terminate(),
  };
}

function reportOf(tallies: readonly Tally[]): string {
  const inputs = tallies.reduce((sum, tally) => sum + tally.inputs, 0);
  const violations = tallies.reduce((sum, tally) => sum + tally.violations.length, 0);
  const cells = [
    ["target", "inputs", "a second", "taken", "refused", "most held", "slowest", "violations"],
    ["---", ...Array.from({ length: 7 }, () => "---:")],
    ...tallies.map((tally) => [
      tally.target,
      String(tally.inputs),
      String(Math.round(tally.inputs / (tally.ms / 1000))),
      String(tally.accepted),
      String(tally.inputs - tally.accepted - tally.violations.length),
      tally.mostHeld === 0 ? "" : `${Math.ceil(tally.mostHeld / 1024)} KB`,
      `${tally.slowestMs.toFixed(0)} ms`,
      String(tally.violations.length),
    ]),
  ];
  return [
    `${inputs} inputs, ${violations} violations.`,
    "",
    ...cells.map((line) => `| ${line.join(" | ")} |`),
  ].join("\n");
}
