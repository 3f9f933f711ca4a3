import { describe, expect, it } from "vitest";
import { range } from "../faults/pool.js";
import { buildWatched } from "./agent-build.js";
import { whyNoJail } from "./agent-jail.js";
import { agentTarget } from "./agent-target.js";
import { fuzz } from "./target.js";

const SESSIONS = 40;

const watched = buildWatched();
const skipped = whyNoJail() ?? watched.skipped;

describe.skipIf(skipped)(`the agent under sanitizers${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  it("answers what a host may ask, refuses the rest, and leaves nothing behind", async () => {
    const { accepted, violations, inputs } = await fuzz(agentTarget(watched.path), range(1, SESSIONS));
    expect(violations.join("\n\n")).toBe("");
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(inputs);
  });
});
