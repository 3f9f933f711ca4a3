import { describe, expect, it } from "vitest";
import { Random } from "../../robustness/faults/random.js";
import { runReplicaModel, runTreeModel } from "./tree-model.js";

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);

describe("a tree in memory, in a random history", () => {
  it.each(SEEDS)("does what a folder of the host does, and so do its copies (%d)", async (seed) => {
    const errors = await runTreeModel(new Random(seed), { steps: 500, compareEvery: 50 });
    expect([...errors]).toEqual(expect.arrayContaining(["EEXIST", "ENOENT", "ENOTDIR"]));
  });

  it.each(SEEDS.slice(0, 8))("does so on a replica, whose original is behind a port (%d)", async (seed) => {
    const errors = await runReplicaModel(new Random(seed), { steps: 400, compareEvery: 50 });
    expect([...errors]).toEqual(expect.arrayContaining(["EEXIST", "ENOENT", "ENOTDIR"]));
  });
});
