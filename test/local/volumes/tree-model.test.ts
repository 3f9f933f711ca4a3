import { describe, expect, it } from "vitest";
import { Random } from "../../robustness/faults/random.js";
import { runTreeModel } from "./tree-model.js";

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);

describe("a tree in memory, in a random history", () => {
  it.each(SEEDS)("does what a folder of the host does, and so do its copies (%d)", (seed) => {
    const errors = runTreeModel(new Random(seed), { steps: 500, compareEvery: 50 });
    expect([...errors]).toEqual(expect.arrayContaining(["EEXIST", "ENOENT", "ENOTDIR"]));
  });
});
