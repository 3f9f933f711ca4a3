import { expect, it } from "vitest";
import { readLock } from "../../../wasm/build/lock.mjs";
import { readTestSuite } from "../../../wasm/images/debian/packages.mjs";
import { EXPECTED, LEFT_OUT, type ModuleResult, surprises, type TestResult } from "./cpython.js";

const GROUPS = [{ reason: "a known fault", tests: ["test.test_x.A.known"] }];

/** What the judge says of a module with these tests. */
function judge(outcomes: Record<string, TestResult["outcome"]>, more: Partial<ModuleResult> = {}): string[] {
  const tests = Object.entries(outcomes).map(([name, outcome]) => ({
    test: `test.test_x.A.${name}`,
    outcome,
    detail: "because",
    ms: 1,
  }));
  const failed = Object.values(outcomes).includes("failed");
  const ended = failed ? { state: "FAILED", ended: 2 } : { state: "PASSED", ended: 0 };
  const result = { module: "test_x", seconds: 1, output: "the end", tests, ...ended, ...more };
  return surprises(result, { groups: GROUPS, whole: true });
}

it("takes what passes, and what fails as expected", () => {
  expect(judge({ right: "ok", other: "skipped", known: "failed" })).toEqual([]);
});

it.each<[string, string[], string]>([
  ["a failure that is not expected", judge({ known: "failed", other: "failed" }), "A.other failed:\nbecause"],
  ["a pass that is not expected", judge({ known: "ok" }), "A.known passes, but"],
  ["a skip that is not expected", judge({ known: "skipped" }), "A.known is skipped, but"],
  ["an expected failure that is gone", judge({ right: "ok" }), "A.known did not run, but"],
  [
    "a crash",
    judge({ known: "failed" }, { state: null, ended: -11 }),
    "test_x ended with -11, as null:\nthe end",
  ],
  ["a hang", judge({ known: "failed" }, { state: null, ended: "timeout" }), "test_x ended with timeout"],
  [
    "a module that could not be imported",
    judge({ known: "failed" }, { state: "UNCAUGHT_EXC", ended: 2 }),
    "test_x ended with 2, as UNCAUGHT_EXC",
  ],
  ["a crash at its end", judge({ known: "failed" }, { ended: 139 }), "test_x ended with 139, as FAILED"],
])("reports %s", (_what, found, start) => {
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(start);
});

it("reports a failure of no test", () => {
  expect(judge({ known: "failed" }, { tests: [], state: "FAILED", ended: 2 })).toHaveLength(2);
});

it("has a reason for every difference, and each test once", () => {
  const tests = EXPECTED.flatMap((group) => group.tests);
  expect(new Set(tests).size).toBe(tests.length);
  for (const { reason } of [...EXPECTED, ...LEFT_OUT]) expect(reason).not.toBe("");
});

it("is locked at the version of the image's Python", () => {
  const { inputs } = readLock();
  expect(readTestSuite().path).toContain(`_${inputs["src:python3.13"]?.version}_`);
});
