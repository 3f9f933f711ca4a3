import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { range } from "../faults/pool.js";
import { buildWatched } from "./agent-build.js";
import { whyNoJail } from "./agent-jail.js";
import { agentTarget } from "./agent-target.js";
import { fuzz } from "./target.js";

const SESSIONS = 40;

const noJail = whyNoJail();
const watched = noJail === undefined ? buildWatched() : { path: "", skipped: noJail };
const { skipped } = watched;
afterAll(() => {
  if (skipped === undefined) rmSync(dirname(watched.path), { recursive: true });
});

describe.skipIf(skipped)(`the agent under sanitizers${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  it("answers what a host may ask, refuses the rest, and leaves nothing behind", async () => {
    const { accepted, violations, inputs } = await fuzz(agentTarget(watched.path), range(1, SESSIONS));
    expect(violations.join("\n\n")).toBe("");
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(inputs);
  });
});
