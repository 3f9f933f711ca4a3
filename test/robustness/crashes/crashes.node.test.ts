import { expect, it } from "vitest";
import { runSeed } from "./run.js";

/** Odd ones are of Chromium, even ones of Node: each host dies some twelve times, at moments of every kind. */
const SEEDS = [7, 8, 10, 13];
const KILLS = 6;

it("what a guest has fsynced, or a flush has stored, is there after every kill of its process or browser, and nothing is left of what was cut off", async () => {
  const live = async (seeds: number[]) => {
    const outcomes = [];
    for (const seed of seeds) outcomes.push(await runSeed(seed, KILLS));
    return outcomes;
  };
  const byHost = await Promise.all([0, 1].map((host) => live(SEEDS.filter((seed) => seed % 2 === host))));
  const outcomes = byHost.flat();
  expect(outcomes.flatMap(({ violations }) => violations).join("\n\n")).toBe("");
  for (const { tally } of outcomes) {
    expect(tally.kills).toBeGreaterThan(KILLS / 2);
    expect(tally.records).toBeGreaterThan(KILLS);
  }
}, 600_000);
