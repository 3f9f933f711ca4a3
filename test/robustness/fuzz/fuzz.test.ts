import { describe, expect, it } from "vitest";
import { range } from "../faults/pool.js";
import { fuzz } from "./target.js";
import { TARGETS } from "./targets.js";

const INPUTS = 1000;

describe("inputs that are almost right", () => {
  it.each(TARGETS.map((target) => ({ name: target.name, target })))(
    "are taken or refused: $name",
    async ({ target }) => {
      const { accepted, violations, inputs } = await fuzz(target, range(1, INPUTS));
      expect(violations.join("\n\n")).toBe("");
      // Of both, else the inputs are no test.
      expect(accepted).toBeGreaterThan(0);
      expect(accepted).toBeLessThan(inputs);
    },
  );
});
