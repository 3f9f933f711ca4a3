/**
 * The whole test run: builds, checks types and style, finds or installs Chromium and the other runtimes, runs every test, and prints the totals last.
 * Nothing is skipped in silence: what cannot be run here is named.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { bundlersToInstall, installBundlers } from "../test/bundlers/install.mjs";
import { installRuntimes, toInstall } from "../test/runtimes/runtimes.mjs";
import { findChromium, hasChromium } from "./chromium.mjs";

/** Number of files whose durations are printed: where a run's time goes. */
const SLOWEST_FILES = 15;

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name) => join(root, "node_modules", ...name.split("/"));

tellInstalls();
installRuntimes();
installBundlers();
step("build", process.execPath, [join(root, "scripts/build.mjs")]);
step("types", process.execPath, [bin("typescript/bin/tsc"), "-b"]);
step("style", process.execPath, [bin("@biomejs/biome/bin/biome"), "check", "."]);

const scratch = mkdtempSync(join(tmpdir(), "boxrun-test-"));
const report = join(scratch, "report.json");
const unhandled = join(scratch, "unhandled.json");
const run = spawnSync(
  process.execPath,
  [
    bin("vitest/vitest.mjs"),
    "run",
    "--project=!soak",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    `--reporter=${join(root, "scripts/unhandled-errors.mjs")}`,
    ...process.argv.slice(2),
  ],
  {
    cwd: root,
    stdio: "inherit",
    // Boxes of the tests are no business of whoever runs them.
    env: {
      ...process.env,
      BOXRUN_CHROMIUM: findChromium(),
      BOXRUN_STATE_DIR: join(scratch, "state"),
      BOXRUN_UNHANDLED: unhandled,
    },
  },
);
const result = JSON.parse(readFileSync(report, "utf8"));
const { numPassedTests, numFailedTests, numPendingTests, success } = result;
const unhandledErrors = existsSync(unhandled) ? JSON.parse(readFileSync(unhandled, "utf8")) : [];
rmSync(scratch, { recursive: true });

const all = result.testResults.flatMap(({ assertionResults }) => assertionResults);
for (const { status, ancestorTitles, title } of all)
  if (status === "pending" || status === "skipped")
    console.log(`not run: ${[...ancestorTitles, title].join(": ")}`);

// Cases that a target cannot pass were run and have failed, as they must: see test/testing/contract/known-failures.ts. They are no passes.
const impossible = all.filter(({ status, title }) => status === "passed" && title.startsWith("cannot: "));
for (const { ancestorTitles, title } of impossible) console.log(`${ancestorTitles[0]}: ${title}`);

// Once more where they are seen: the end of a long log is often all that is kept of it.
for (const { name, message, status, assertionResults } of result.testResults) {
  if (status === "failed" && assertionResults.every((test) => test.status !== "failed"))
    console.log(`failed: ${relative(root, name)}: ${firstLines(message)}`);
  for (const test of assertionResults)
    if (test.status === "failed")
      console.log(
        `failed: ${relative(root, name)}: ${test.fullName}: ${firstLines(test.failureMessages.join("\n"))}`,
      );
}

for (const text of unhandledErrors) console.log(`failed: an error that nobody handles: ${firstLines(text)}`);

for (const { name, seconds } of slowest(result.testResults))
  console.log(`${seconds.toFixed(1).padStart(6)} s  ${relative(root, name)}`);

// A file that fails to load has no failed test in it, and must not look like a pass.
const told = numFailedTests + unhandledErrors.length;
const failed = told + (run.status !== 0 && told === 0 ? 1 : 0);
if (numPendingTests > 0) console.log(`${numPendingTests} skipped (named above)`);
if (impossible.length > 0)
  console.log(`${impossible.length} that cannot pass where they were run (named above)`);
console.log(`${numPassedTests - impossible.length} passed, ${failed} failed`);
process.exitCode = success && run.status === 0 ? 0 : 1;

/** Says what comes onto this machine before anything does. */
function tellInstalls() {
  const wanted = [
    ...(hasChromium() ? [] : ["Chromium (a package of the system, or Playwright's)"]),
    ...toInstall(),
    ...bundlersToInstall(),
  ];
  if (wanted.length === 0) return;
  console.log("The tests need what is not on this machine, and install it now:");
  for (const what of wanted) console.log(`- ${what}`);
}

/** Returns the files that took longest, the longest first. A file's time begins with its first test. */
function slowest(files) {
  return files
    .map(({ name, startTime, endTime }) => ({ name, seconds: (endTime - startTime) / 1000 }))
    .sort((one, other) => other.seconds - one.seconds)
    .slice(0, SLOWEST_FILES);
}

function firstLines(message) {
  return message.split("\n").slice(0, 12).join("\n  ").slice(0, 1500);
}

function step(name, command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status === 0) return;
  console.error(`${name} failed`);
  process.exit(1);
}
