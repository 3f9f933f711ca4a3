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
} from "./cpython.js";

/** Far above what any of them takes, also on a machine that is busy. */
const MODULE_SECONDS = 900;
const TIMEOUT_MS = 1_800_000;

const suite = await findSuite();

/** Modules that do what ours must not miss. */
const PROBES = {
  test_probe: `import unittest
class Probe(unittest.TestCase):
    def test_passes(self): pass
    def test_fails(self): self.fail("on purpose")
    def test_fails_in_part(self):
        for n in range(3):
            with self.subTest(n=n): self.assertNotEqual(n, 1)
    @unittest.skip("no need")
    def test_is_skipped(self): pass
    @unittest.expectedFailure
    def test_passes_oddly(self): pass
class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError("on purpose")
    def test_is_never_run(self): pass`,
  test_probe_crash: `import os, unittest
class Crash(unittest.TestCase):
    def test_a(self): pass
    def test_b(self): os.abort()`,
  test_probe_hang: `import time, unittest
class Hang(unittest.TestCase):
    def test_hangs(self): time.sleep(1000)`,
  test_probe_import: "import no_such_module",
};

describe("the runner of CPython's tests", () => {
  let client: BoxRunClient;
  let runner: SuiteRunner;
  beforeAll(async () => {
    client = new BoxRunClient({ backend: "local", local: { persistent: false } });
    const box = await client.create("debian");
    for (const [name, text] of Object.entries(PROBES))
      await box.files.write(`/usr/lib/python3.13/test/${name}.py`, text);
    runner = await SuiteRunner.start(box);
  }, TIMEOUT_MS);
  afterAll(() => client?.close());

  it("tells each test that fails, in part or before it began", { timeout: TIMEOUT_MS }, async () => {
    const { state, ended, tests } = await runner.run({ module: "test_probe" }, MODULE_SECONDS);
    expect({ state, ended }).toEqual({ state: "FAILED", ended: 2 });
    expect(Object.fromEntries(tests.map(({ test, outcome }) => [test, outcome]))).toEqual({
      "setUpClass (test.test_probe.Broken)": "failed",
      "test.test_probe.Probe.test_passes": "ok",
      "test.test_probe.Probe.test_fails": "failed",
      "test.test_probe.Probe.test_fails_in_part": "failed",
      "test.test_probe.Probe.test_is_skipped": "skipped",
      "test.test_probe.Probe.test_passes_oddly": "failed",
    });
    expect(tests.find(({ test }) => test.endsWith("in_part"))?.detail).toContain("(n=1)");
  });

  it("tells how a module ends that does not come to its end, and runs the next one", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const crash = await runner.run({ module: "test_probe_crash" }, MODULE_SECONDS);
    expect(crash).toMatchObject({ state: null, ended: -6, tests: [{ outcome: "ok" }] });
    const hang = await runner.run({ module: "test_probe_hang" }, 2);
    expect(hang).toMatchObject({ state: null, ended: 1, tests: [] });
    expect(hang.output).toContain("Timeout (0:00:02)!");
    const broken = await runner.run({ module: "test_probe_import" }, MODULE_SECONDS);
    expect(broken).toMatchObject({ state: "UNCAUGHT_EXC", tests: [] });
    expect(broken.output).toContain("No module named 'no_such_module'");
  });
});

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
