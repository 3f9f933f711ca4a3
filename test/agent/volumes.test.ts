import { describe, expect, test } from "vitest";
import { MAX_PATH, MAX_VOLUMES } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, whySkipped } from "./agent-process.js";

const EINVAL = 22;

describe.skipIf(whySkipped)(`volumes in the agent${whySkipped ? ` (skipped: ${whySkipped})` : ""}`, () => {
  test("as many as there may be, with the longest paths, are part of SETUP", async () => {
    await using agent = await AgentProcess.start({ setup: false });
    const volumes = Array.from({ length: MAX_VOLUMES }, (_, at) => ({
      readonly: at % 2 === 1,
      path: `/${"v".repeat(MAX_PATH - 1)}`,
    }));
    agent.setup({ volumes });
    expect(await agent.next(0)).toMatchObject({ type: "ready" });
  });

  test.each([
    ["relative", [{ path: "/work" }, { path: "work" }], "volume work"],
    ["empty", [{ path: "" }], "volume "],
    ["relative and long", [{ path: "w".repeat(MAX_PATH) }], `volume ${"w".repeat(1024 - 7)}`],
  ])("a path that is %s fails SETUP and is named", async (_, paths, detail) => {
    await using agent = await AgentProcess.start({ setup: false });
    agent.setup({ volumes: paths.map(({ path }) => ({ path, readonly: false })) });
    expect(await agent.next(0)).toEqual({ type: "fail", stream: 0, stage: 2, errno: EINVAL, detail });
    agent.exec(1, ["true"]);
    expect(await agent.next(1)).toMatchObject({ type: "fail", stage: 3 });
  });

  test("a relative working directory is named before a volume", async () => {
    await using agent = await AgentProcess.start({ setup: false });
    agent.setup({ workdir: "work", volumes: [{ path: "work", readonly: false }] });
    expect(await agent.next(0)).toMatchObject({ type: "fail", errno: EINVAL, detail: "working directory" });
  });
});
