/**
 * Runs the campaigns: randomized tests that are too long for every test run. Prints a report in Markdown; fails when one finds a violation, when an error is
 * left unhandled, or when something keeps the process alive at the end.
 *
 *   npm run soak -- --seeds 5000 --real 100     how many seeds, and how many of them with real boxes
 *   npm run soak -- --only crashes --lives 100  how many seeds of boxes that are killed again and again
 *   npm run soak -- --only faults --seed 381    one seed again, as a failure names it; with --real 1, on real boxes
 *   npm run soak -- --suite cpython             CPython's own tests, which take hours; --modules test_os,test_io are some of them
 *   npm run soak -- --suite libm                functions of <math.h> in boxes against MPFR; needs gcc and Debian's libmpfr-dev
 *   npm run soak -- --suite bundlers            applications with the bundlers that are not part of every test run, after node test/bundlers/install.mjs
 *   npm run soak -- --suite runtimes            suites in runtimes that are not part of every test run: the whole contract in Node 20, 22 and 24, Bun, Deno, workerd, Chromium, Firefox and WebKit and over a server of the published API alone, the network by fetch in WebKit, and a development server in a preview
 *   npm run soak -- --suite clients             git, ssh, nginx and others of Debian in boxes with a network; needs a mirror of Debian
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "tsup";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Each exports `runCampaign(options)`: see test/robustness/faults/campaign.ts. */
const CAMPAIGNS = {
  faults: "test/robustness/faults/campaign.ts",
  fuzz: "test/robustness/fuzz/campaign.ts",
  agent: "test/robustness/fuzz/agent-campaign.ts",
  crashes: "test/robustness/crashes/campaign.ts",
  volumes: "test/robustness/volumes/campaign.ts",
};
/** Test suites of others, each run instead of the campaigns. */
const SUITES = {
  cpython: "test/robustness/suites/cpython-campaign.ts",
  libm: "test/robustness/suites/libm-campaign.ts",
  clients: "test/robustness/suites/clients-campaign.ts",
  bundlers: "test/bundlers/bundlers-campaign.ts",
  runtimes: "test/runtimes/runtimes-campaign.ts",
};
const CONCURRENCY = 24;
/** Some 8 kills each. */
const LIVES = 20;
/** Sockets that a runtime keeps for later are closed within this. */
const EXIT_MS = 20_000;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    real: { type: "string", default: "0" },
    lives: { type: "string" },
    concurrency: { type: "string", default: String(CONCURRENCY) },
    suite: { type: "string" },
    modules: { type: "string" },
    boxes: { type: "string" },
  },
});
const again = values.seed !== undefined;
const real = Number(values.real);
const options = {
  seeds: Number(values.seeds ?? (again ? (real > 0 ? 0 : 1) : 1000)),
  from: Number(values.seed ?? values.from),
  real,
  lives: Number(values.lives ?? (again ? 1 : LIVES)),
  concurrency: Number(values.concurrency),
  say: (line) => console.error(line),
};
const boxes = values.boxes === undefined ? undefined : Number(values.boxes);
if (boxes !== undefined && !(Number.isInteger(boxes) && boxes >= 1))
  throw new Error(`--boxes must be an integer of at least 1, got ${values.boxes}`);
const suiteOptions = {
  ...(values.modules && { modules: values.modules.split(",") }),
  ...(boxes !== undefined && { boxes }),
  say: options.say,
};
const [table, chosen, given] = values.suite
  ? [SUITES, values.suite, suiteOptions]
  : [CAMPAIGNS, values.only, options];
const names = chosen === undefined ? Object.keys(table) : chosen.split(",");
for (const name of names)
  if (!(name in table)) throw new Error(`there is no ${name}, only ${Object.keys(table).join(", ")}`);

let violations = 0;
process.on("unhandledRejection", (error) => {
  violations++;
  console.error("an error that nobody handles:", error);
});

console.log(`Node ${process.version}, ${process.platform} ${process.arch}, ${cpus().length} cores\n`);
for (const name of names) {
  const { runCampaign } = await load(name);
  const began = performance.now();
  const result = await runCampaign(given);
  violations += result.violations;
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  console.log(`## ${name}\n\nIn ${minutes} minutes: ${result.report}\n`);
}
process.exitCode = violations === 0 ? 0 : 1;
const began = performance.now();
const late = setTimeout(() => {
  console.error("still alive:", process.getActiveResourcesInfo().join(", "));
  process.exit(1);
}, EXIT_MS);
late.unref();
process.on("exit", () =>
  console.error(`ended by itself ${((performance.now() - began) / 1000).toFixed(1)} s after all was done`),
);

/** Loads a campaign. Campaigns are TypeScript, and import the sources. */
async function load(name) {
  // Within the project: test/root.ts looks for its folder from here.
  mkdirSync(join(root, ".tsbuild"), { recursive: true });
  const outDir = mkdtempSync(join(root, ".tsbuild", "soak-"));
  process.on("exit", () => rmSync(outDir, { recursive: true, force: true }));
  await build({
    entry: { [name]: join(root, table[name]) },
    outDir,
    format: "esm",
    target: "es2022",
    platform: "node",
    splitting: true,
    sourcemap: true,
    config: false,
    silent: true,
    // All that is not the project's own source.
    external: [/^(?!boxrun\/unix-agent$)[^./]/],
    esbuildOptions: (esbuild) => {
      esbuild.alias = { "boxrun/unix-agent": join(root, "src/sockets/unix-agent-node.ts") };
    },
  });
  return import(pathToFileURL(join(outDir, `${name}.js`)).href);
}
