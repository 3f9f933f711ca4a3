import { cpus } from "node:os";
import { BoxRunClient } from "boxrun";
import {
  EXPECTED,
  fetchSuite,
  installSuite,
  LEFT_OUT,
  type ModuleResult,
  SuiteRunner,
  surprises,
} from "./cpython.js";

/** What `npm run soak -- --suite cpython` asks for. */
export interface SuiteOptions {
  /** Modules of the suite. @default all */
  modules?: string[];
  /** How many boxes run modules at a time. @default as many as there are cores */
  boxes?: number;
  /** Called with each surprise as it is found, and with how far it is. */
  say: (line: string) => void;
}

/** A hang is found; the suite's own timeouts grow with it, so that a busy machine is no failure. */
const MODULE_SECONDS = 3600;
/** How many rows the table of reasons to skip has. */
const SKIPS_SHOWN = 25;

/** Runs CPython's own tests in boxes of `debian`. */
export async function runCampaign({
  modules: wanted,
  boxes = cpus().length,
  say,
}: SuiteOptions): Promise<{ report: string; violations: number }> {
  const path = await fetchSuite();
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  const open = async () => {
    const box = await client.create("debian");
    await installSuite(box, path);
    return { box, runner: await SuiteRunner.start(box) };
  };
  const results: ModuleResult[] = [];
  const found: string[] = [];
  let queue: string[] = [];
  const work = async (given?: Awaited<ReturnType<typeof open>>) => {
    let { box, runner } = given ?? (await open());
    for (let module = queue.shift(); module !== undefined; module = queue.shift()) {
      const lines: string[] = [];
      try {
        const result = await runner.run({ module }, MODULE_SECONDS);
        results.push(result);
        lines.push(...surprises(result, { whole: true }));
      } catch (error) {
        lines.push(`${module}: the box did not run it: ${error}`);
        await box.remove({ force: true });
        ({ box, runner } = await open());
      }
      found.push(...lines);
      for (const line of lines) say(line);
      say(`${module}: done, ${queue.length} to go`);
    }
    await box.remove({ force: true });
  };
  try {
    const first = await open();
    const all = await first.runner.modules();
    const unknown = wanted?.filter((module) => !all.includes(module)) ?? [];
    if (unknown.length > 0) throw new Error(`the suite has no ${unknown.join(", ")}`);
    queue =
      wanted ??
      all.filter((name) => !LEFT_OUT.some(({ module, tests }) => module === name && tests.length === 0));
    await Promise.all(Array.from({ length: boxes }, (_, index) => work(index === 0 ? first : undefined)));
  } finally {
    await client.close();
  }
  return { report: reportOf(results, found), violations: found.length };
}

/** The results as Markdown. */
function reportOf(results: readonly ModuleResult[], found: readonly string[]): string {
  const tests = results.flatMap((result) => result.tests);
  const count = (outcome: string) => tests.filter((result) => result.outcome === outcome).length;
  const failed = new Set(tests.filter(({ outcome }) => outcome === "failed").map(({ test }) => test));
  const skipped = tests.filter(({ outcome }) => outcome === "skipped").map(({ detail }) => detail);
  const emptyModules = results.filter(({ state }) => state !== "PASSED" && state !== "FAILED");
  const expected = EXPECTED.map(({ reason, tests }) => [
    reason,
    tests.filter((test) => failed.has(test)).length,
  ]);
  return [
    `${results.length} modules, ${emptyModules.length} of them with nothing to run here; ${count("ok")} tests passed, ${count("failed")} failed, ${count("skipped")} were skipped by the suite; ${found.length} surprises.`,
    table(
      "failures that are expected",
      expected.filter(([, count]) => count !== 0),
    ),
    table(
      "tests that are left out",
      LEFT_OUT.map(({ reason, module, tests }) => [`${[module, ...tests].join(" ")}: ${reason}`, ""]),
    ),
    table("reasons of the suite to skip tests", countEach(skipped).slice(0, SKIPS_SHOWN)),
    table(
      "slowest modules, in seconds",
      results
        .map(({ module, seconds }): [string, number] => [module, Math.round(seconds)])
        .sort((a, b) => b[1] - a[1])
        .slice(0, 10),
    ),
  ].join("\n\n");
}

/** Every value and how often it is there, the most frequent first. */
function countEach(values: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function table(title: string, rows: readonly (readonly (string | number)[])[]): string {
  if (rows.length === 0) return `No ${title}.`;
  const cells = rows.map(([what, count]) => `| ${String(what).replaceAll("|", "\\|")} | ${count} |`);
  return [`| ${title} | |`, "| --- | ---: |", ...cells].join("\n");
}
