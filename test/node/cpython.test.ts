import { availableParallelism } from "node:os";
import { BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  findSuite,
  installSuite,
  type ModuleResult,
  type Selection,
  SUBSET,
  SuiteRunner,
  surprises,
} from "../suites/cpython.js";

/** Far above what any of them takes, also on a machine that is busy. */
const MODULE_SECONDS = 900;
const TIMEOUT_MS = 1_800_000;

const suite = await findSuite();

describe("CPython's own tests, in a box of debian", () => {
  if ("missing" in suite) {
    for (const { module } of SUBSET) it.skip(`${module} (${suite.missing})`);
    return;
  }
  let client: BoxRunClient;
  const results = new Map<Selection, Promise<ModuleResult>>();

  beforeAll(() => {
    client = new BoxRunClient({ backend: "local", local: { persistent: false } });
    const open = async () => {
      const box = await client.create("debian");
      await installSuite(box, suite.path);
      return SuiteRunner.start(box);
    };
    // Two boxes where there are cores for them, each with a queue of its own.
    const runners = Array.from({ length: Math.min(2, availableParallelism()) }, open);
    const queues: Promise<unknown>[] = [...runners];
    for (const [index, selection] of SUBSET.entries()) {
      const lane = index % runners.length;
      const run = async () => (await (runners[lane] as Promise<SuiteRunner>)).run(selection, MODULE_SECONDS);
      const result = (queues[lane] as Promise<unknown>).then(run);
      queues[lane] = result.catch(() => {});
      results.set(selection, result);
    }
  });
  afterAll(() => client?.close());

  it.each(SUBSET.map((selection) => [selection.module, selection] as const))(
    "%s",
    { timeout: TIMEOUT_MS },
    async (_name, selection) => {
      const result = (await results.get(selection)) as ModuleResult;
      expect(surprises(result)).toEqual([]);
      expect(result.tests.filter(({ outcome }) => outcome === "ok").length).toBeGreaterThan(0);
    },
  );
});
