/**
 * `npm run bench [-- --json] [-- --runs N]`: the figures of docs/performance.md, all in one run, next to a baseline of plain v86.
 * Every sample is taken in a fresh process or page; medians over all samples are printed.
 */
import { execFile } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openChromium } from "./chromium.mjs";
import { median, percentile } from "./statistics.mjs";
import { printTable } from "./table.mjs";

const DEFAULT_RUNS = 7;
const MORE_BOXES = 3;

const { json, runs } = readArguments(process.argv.slice(2));
const log = (text) => process.stderr.write(`${text}\n`);

const node = {
  measure: async (name, count) => {
    const child = fileURLToPath(new URL("node-child.mjs", import.meta.url));
    const args = [child, name, ...(count === undefined ? [] : [String(count)])];
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 24 });
    return JSON.parse(stdout);
  },
  // The assets come with the package; what a first use reads of them is what a page fetches.
  firstVisitBytes: undefined,
  close: async () => {},
};

const results = {
  machine: { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, node: process.version },
  runs,
};
const chromium = await openChromium();
results.machine.chromium = chromium.version;
try {
  for (const [name, place] of Object.entries({ node, chromium })) {
    log(`${name}:`);
    results[name] = await measurePlace(place);
  }
  results.node["first_visit_bytes"] = results.chromium["first_visit_bytes"];
} finally {
  await chromium.close();
}

if (json) process.stdout.write(`${JSON.stringify(results, null, 1)}\n`);
else printTable(results);

async function measurePlace(place) {
  const samples = (name, times, count) => sample(place, name, times, count);
  const figures = {};

  const firstVisitBytes = await place.firstVisitBytes?.();
  const first = await samples("firstOutput", runs);
  figures["tiny.create_ms"] = median(first.map((one) => one.create_ms));
  figures["tiny.first_output_ms"] = median(first.map((one) => one.first_output_ms));

  const exec = await samples("execTrue", few(runs));
  const later = exec.flatMap((one) => one.later);
  figures["tiny.exec_true_first20_ms_p50"] = median(exec.flatMap((one) => one.first20));
  figures["tiny.exec_true_ms_p50"] = median(later);
  figures["tiny.exec_true_ms_p95"] = percentile(later, 0.95);

  const moved = await samples("throughput", few(runs));
  for (const name of ["stdout", "upload", "download"]) {
    for (const key of [`${name}_mb_s`, `${name}_first_mb_s`])
      figures[key] = median(moved.map((one) => one[key]));
  }

  const resident = async (count) =>
    median((await samples("holdBoxes", few(runs), count)).map((one) => one.resident_mb));
  const one = await resident(1);
  figures["box_resident_mb"] = one;
  figures["added_box_resident_mb"] = ((await resident(1 + MORE_BOXES)) - one) / MORE_BOXES;
  if (firstVisitBytes !== undefined) figures["first_visit_bytes"] = firstVisitBytes;
  figures["cold_boot_ms"] = median((await samples("coldBoot", few(runs))).map((one) => one.cold_boot_ms));

  const plain = await samples("baseline", few(runs));
  figures["baseline.first_output_ms"] = median(plain.map((one) => one.first_output_ms));
  figures["baseline.exec_true_ms_p50"] = median(plain.flatMap((one) => one.execs));
  figures["baseline.stdout_mb_s"] = median(plain.map((one) => one.stdout_mb_s));

  figures["ratio.first_output"] = figures["baseline.first_output_ms"] / figures["tiny.first_output_ms"];
  figures["ratio.exec_true"] =
    figures["baseline.exec_true_ms_p50"] / figures["tiny.exec_true_first20_ms_p50"];
  figures["ratio.stdout"] = figures["stdout_mb_s"] / figures["baseline.stdout_mb_s"];
  return Object.fromEntries(
    Object.entries(figures).map(([key, value]) => [key, Number(value.toPrecision(4))]),
  );
}

async function sample(place, name, times, count) {
  const all = [];
  for (let i = 0; i < times; i++) all.push(await place.measure(name, count));
  log(`  ${name}${count === undefined ? "" : ` ${count}`}: ${times} runs`);
  return all;
}

/** For what takes long and has many samples in each run. */
function few(runs) {
  return Math.max(1, Math.ceil(runs / 2));
}

function readArguments(args) {
  const at = args.indexOf("--runs");
  const runs = at < 0 ? DEFAULT_RUNS : Number(args[at + 1]);
  if (!Number.isInteger(runs) || runs < 1) {
    console.error("--runs takes a whole number from 1");
    process.exit(2);
  }
  return { json: args.includes("--json"), runs };
}
