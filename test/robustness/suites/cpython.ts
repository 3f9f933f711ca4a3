import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BoxHandle, ExecutionWithStdin } from "boxrun";
import { ROOT } from "../../root.js";

const PACKAGES = pathToFileURL(join(ROOT, "wasm/images/debian/packages.mjs")).href;
const IN_BOX = "/opt/cpython-run.py";
/** What the runner may take beyond a module's limit, to say where it hung and to end it. */
const GRACE_MS = 180_000;

/** Some tests of a module. */
export interface Selection {
  /** As the suite names it: `test_os`, `test.test_asyncio.test_tasks`. */
  module: string;
  /** Patterns of the tests that are run, as of `python3 -m test --match`. @default all */
  match?: string[];
  /** Patterns of tests that are not run. @default none */
  ignore?: string[];
}

/** What came of one test. */
export interface TestResult {
  test: string;
  outcome: "ok" | "skipped" | "failed";
  /** Why it was skipped, or the end of its traceback. */
  detail: string;
  ms: number;
}

/** What came of a module. */
export interface ModuleResult {
  module: string;
  /** The suite's word for it: `PASSED`, `SKIPPED`; null when its process ended without one. */
  state: string | null;
  /** The exit code of its process, minus its signal, or `"timeout"`. */
  ended: number | "timeout";
  seconds: number;
  /** The end of what a module that has not passed printed. */
  output: string;
  tests: TestResult[];
}

/** Tests that fail in a box, with the reason. */
export interface ExpectedGroup {
  reason: string;
  tests: string[];
}

/** Tests of a module whose result means nothing in a box, with the reason. */
export interface LeftOut {
  reason: string;
  module: string;
  /** Patterns, as of `python3 -m test --ignore`; none for the whole module. */
  tests: string[];
}

export const { failures: EXPECTED, leftOut: LEFT_OUT } = readData<{
  failures: readonly ExpectedGroup[];
  leftOut: readonly LeftOut[];
}>("expected.json");

/** What is run by every `npm test`. */
export const SUBSET = readData<readonly Selection[]>("subset.json");

/**
 * The package with CPython's tests, downloaded unless it is there and checked against the lock.
 * @throws {NotFetched} when it cannot be had, with the reason in its message; tests are then not run
 * @throws {Error} when it has other bytes than the lock says
 */
export async function fetchSuite(): Promise<string> {
  const { fetchPackage, readTestSuite } = await openPackages();
  return fetchPackage(join(ROOT, ".cache/suites/"), readTestSuite());
}

/** Why there is no suite, or its path. */
export async function findSuite(): Promise<{ path: string } | { missing: string }> {
  try {
    return { path: await fetchSuite() };
  } catch (error) {
    const { NotFetched } = await openPackages();
    if (error instanceof NotFetched) return { missing: error.message };
    throw error;
  }
}

function readData<Data>(name: string): Data {
  return JSON.parse(readFileSync(join(ROOT, "test/robustness/suites/cpython", name), "utf8"));
}

/** By its path: bundled, it would look for its files beside the bundle. */
function openPackages(): Promise<typeof import("../../../wasm/images/debian/packages.mjs")> {
  return import(/* @vite-ignore */ PACKAGES);
}

/** Puts the suite, a .deb, into a box of `debian`. */
export async function installSuite(box: BoxHandle, path: string): Promise<void> {
  await box.upload(readFileSync(path), "/opt/testsuite.deb");
  // Not by dpkg: it wants the package's dependencies, which the tests do without.
  await box.exec("dpkg-deb -x /opt/testsuite.deb / && rm /opt/testsuite.deb", { check: true });
}

/** The suite's runner in a box: a process that runs one module after another. */
export class SuiteRunner {
  private constructor(
    private readonly execution: ExecutionWithStdin,
    private readonly lines: AsyncIterator<string>,
  ) {}

  static async start(box: BoxHandle): Promise<SuiteRunner> {
    await box.upload(readFileSync(join(ROOT, "test/robustness/suites/cpython/run.py")), IN_BOX);
    const execution = await box.execStream(["python3", IN_BOX], { stdin: true });
    return new SuiteRunner(execution, linesOf(execution));
  }

  /**
   * Runs tests of one module, in a process of their own.
   * @param seconds after which a module that hangs is ended; the suite's own timeouts grow with it
   * @throws {Error} when the runner has ended, which it does when its box has
   */
  async run({ module, match = [], ignore = [] }: Selection, seconds: number): Promise<ModuleResult> {
    const leftOut = LEFT_OUT.filter((entry) => entry.module === module).flatMap(({ tests }) => tests);
    await this.ask({ module, seconds, match, ignore: [...ignore, ...leftOut] });
    const tests: TestResult[] = [];
    const timer = setTimeout(() => void this.execution.cancel(), seconds * 1000 + GRACE_MS);
    try {
      for (;;) {
        const line = await this.answer();
        if ("module" in line) return { ...line, tests };
        tests.push(line);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The names of all modules that are installed. */
  async modules(): Promise<string[]> {
    await this.ask({ list: true });
    return (await this.answer()).modules;
  }

  private async ask(order: object): Promise<void> {
    const writer = this.execution.stdin.getWriter();
    await writer.write(`${JSON.stringify(order)}\n`);
    writer.releaseLock();
  }

  private async answer() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error("the runner has ended");
    return JSON.parse(value);
  }
}

/** The lines of an execution's standard output; its end is an error, with what it wrote to its standard error. */
async function* linesOf(execution: ExecutionWithStdin): AsyncGenerator<string> {
  let rest = "";
  let errors = "";
  for await (const event of execution) {
    if (event.type !== "log") throw new Error(`the runner ended with ${event.exitCode}: ${errors}`);
    if (event.stream === "stderr") errors += event.data;
    else {
      const parts = (rest + event.data).split("\n");
      rest = parts.pop() as string;
      yield* parts;
    }
  }
}

/**
 * What a module's result has that the list does not expect: failures that are not on it, and tests on it that do not fail.
 * @param whole true when all tests of the module were to run, so that those on the list must have
 */
export function surprises(
  { module, state, ended, output, tests }: ModuleResult,
  { groups = EXPECTED, whole = false }: { groups?: readonly ExpectedGroup[]; whole?: boolean } = {},
): string[] {
  const reasons = new Map(
    groups.flatMap(({ reason, tests }) => tests.map((test) => [test, reason] as const)),
  );
  const found: string[] = [];
  const failed = new Set(tests.filter(({ outcome }) => outcome === "failed").map(({ test }) => test));
  for (const { test, outcome, detail } of tests) {
    if (outcome === "failed" && !reasons.has(test)) found.push(`${test} failed:\n${detail}`);
    if (outcome !== "failed" && reasons.has(test) && !failed.has(test)) {
      const how = outcome === "ok" ? "passes" : "is skipped";
      found.push(`${test} ${how}, but the list of expected failures has it: ${reasons.get(test)}`);
    }
  }
  if (whole) {
    const seen = new Set(tests.map(({ test }) => test));
    for (const [test, reason] of reasons)
      if (isOf(test, module) && !seen.has(test))
        found.push(`${test} did not run, but the list of expected failures has it: ${reason}`);
  }
  const right = { PASSED: 0, FAILED: 2, SKIPPED: 0, RESOURCE_DENIED: 4, DID_NOT_RUN: 4 }[state ?? ""];
  if (ended !== right || (state === "FAILED" && failed.size === 0))
    found.push(`${module} ended with ${ended}, as ${state}:\n${output}`);
  return found;
}

/** Whether a test is one of a module's: `test.test_os.FileTests.test_access`. */
function isOf(test: string, module: string): boolean {
  return test.startsWith(`${module.startsWith("test.") ? module : `test.${module}`}.`);
}
