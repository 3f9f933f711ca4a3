import { expect, it } from "vitest";
import { FAKE_GROUND } from "./grounds.js";
import { range, runSeeds } from "./pool.js";

it("fake", async () => {
  const outcomes = await runSeeds(
    range(Number(process.env["FROM"] ?? 1), Number(process.env["N"] ?? 20)),
    FAKE_GROUND,
    { concurrency: Number(process.env["C"] ?? 8) },
  );
  const table: Record<string, number> = {};
  for (const { workload, result, target } of outcomes) {
    const k = `${workload} / ${target} / ${result}`;
    table[k] = (table[k] ?? 0) + 1;
  }
  console.log(
    Object.entries(table)
      .sort()
      .map(([k, n]) => `${n} ${k}`)
      .join("\n"),
    Math.max(...outcomes.map(({ ms }) => ms)),
  );
  expect(outcomes.flatMap(({ violations }) => violations)).toEqual([]);
}, 600_000);
