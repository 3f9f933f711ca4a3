/**
 * `npm run bench [-- --json] [-- --runs N]`: the figures of docs/internals/performance.md, all in one run, next to a baseline of plain v86.
 * Every sample is taken in a fresh process or page; medians over all samples are printed.
 *
 * `npm run bench -- languages [--before CHECKOUT]` measures languages instead: in this build, in that of another checkout, and natively.
 * `npm run bench -- network` measures the network and the ports of boxes in Node, and the network of those of a page, each next to plain v86 with its own network.
 * `npm run bench -- volumes` measures files of volumes in Node, next to those of the box's own disk.
 */
import { spawn } from "node:child_process";
import { cpus } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openChromium } from "./chromium.mjs";
import { measureLanguages } from "./measure-languages.mjs";
import { openNetworkServers } from "./network-servers.mjs";
import { openNode } from "./node-place.mjs";
import { measureSizes } from "./sizes.mjs";
import { median, percentile } from "./statistics.mjs";
import { printTable } from "./table.mjs";

const DEFAULT_RUNS = 7;
/** Each takes some minutes, and has many samples of most rows. */
const DEFAULT_LANGUAGE_RUNS = 3;
const MORE_BOXES = 3;
const MANY_BOXES = 8;

const { json, runs, before, mode } = readArguments(process.argv.slice(2));
const log = (text) => process.stderr.write(`${text}\n`);
const root = new URL("../../", import.meta.url);

const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, node: process.version };
const results =
  mode === "languages"
    ? await measureLanguages({ root, before, runs, log })
    : mode === "network"
      ? await measureNetwork()
      : mode === "volumes"
        ? await measureVolumes()
        : await measureEverything();
machine.chromium = results.chromium;
if (json) process.stdout.write(`${JSON.stringify({ machine, runs, ...results.columns }, null, 1)}\n`);
else printTable({ machine, runs, columns: results.columns });

async function measureEverything() {
  const columns = {};
  const node = openNode(root);
  const chromium = await openChromium(root);
  try {
    for (const [name, place] of Object.entries({ node, chromium })) {
      log(`${name}:`);
      columns[name] = await measurePlace(place);
    }
  } finally {
    await chromium.close();
    await node.close();
  }
  return { chromium: chromium.version, columns };
}

async function measureNetwork() {
  const node = openNode(root);
  const chromium = await openChromium(root);
  const servers = await openNetworkServers(chromium.origin);
  const { settings } = servers;
  try {
    const columns = {
      node: await measureNetworkIn(node, { network: undefined, pip: undefined, ports: undefined }, settings),
      chromium: await measureNetworkIn(chromium, { gateway: settings, relay: settings }, settings),
    };
    const { node: inNode, chromium: inPage } = columns;
    inNode["ratio.network_in"] = inNode["network_in_mb_s"] / inNode["baseline.network_in_mb_s"];
    inPage["ratio.fetch_http"] = inPage["fetch_http_mb_s"] / inPage["baseline.network_in_mb_s"];
    for (const figures of [inNode, inPage])
      for (const key of Object.keys(figures)) figures[key] = Number(figures[key].toPrecision(4));
    return { chromium: chromium.version, columns };
  } finally {
    await servers.close();
    await chromium.close();
    await node.close();
  }
}

/** Medians of all figures of these workloads, given what they take, and of the baseline. */
async function measureNetworkIn(place, workloads, { port }) {
  const figures = {};
  for (const [name, given] of Object.entries(workloads)) {
    const all = await sample(place, name, few(runs), given);
    for (const key of Object.keys(all[0]))
      if (key !== "resident_mb") figures[key] = median(all.map((one) => one[key]));
  }
  const plain = await sample(place, "baseline", few(runs), port);
  figures["baseline.network_in_mb_s"] = median(plain.map((one) => one.network_in_mb_s));
  return figures;
}

async function measureVolumes() {
  const node = openNode(root);
  try {
    const figures = {};
    for (const [name, times] of [
      ["volumes", few(runs)],
      ["volumeTrees", 1],
    ]) {
      const all = await sample(node, name, times);
      for (const key of Object.keys(all[0]))
        if (key !== "resident_mb") figures[key] = Number(median(all.map((one) => one[key])).toPrecision(3));
    }
    return { chromium: "not used", columns: { node: figures } };
  } finally {
    await node.close();
  }
}

async function measurePlace(place) {
  const samples = (name, times, count) => sample(place, name, times, count);
  const figures = {};

  for (const [key, name, argument] of [
    ["tiny.first_visit", "firstOutput", "tiny"],
    ["debian.first_visit", "firstOutput", "debian"],
    ["debian.python_first_visit", "python", undefined],
  ]) {
    if (!place.firstVisit) continue;
    const visits = [];
    for (let i = 0; i < few(runs); i++) visits.push(await place.firstVisit(name, argument));
    figures[`${key}_ms`] = median(visits.map((one) => one.first_result_ms ?? one.first_output_ms));
    figures[`${key}_bytes`] = median(visits.map((one) => one.bytes));
  }
  const first = await samples("firstOutput", runs);
  figures["tiny.create_ms"] = median(first.map((one) => one.create_ms));
  figures["tiny.first_output_ms"] = median(first.map((one) => one.first_output_ms));

  const debian = await samples("firstOutput", runs, "debian");
  figures["debian.first_output_ms"] = median(debian.map((one) => one.first_output_ms));
  for (const image of ["tiny", "debian"]) {
    const warm = await samples("warmOutput", runs, image);
    figures[`${image}.warm_output_ms`] = median(warm.map((one) => one.warm_output_ms));
  }
  const python = await samples("python", few(runs));
  figures["debian.python_first_ms"] = median(python.map((one) => one.python_first_ms));
  figures["debian.python_ms_p50"] = median(python.flatMap((one) => one.times));
  const disks = await samples("disk", few(runs));
  for (const key of ["disk_write_cold_mb_s", "disk_write_mb_s", "disk_read_mb_s"])
    figures[key] = median(disks.map((one) => one[key]));
  const files = await samples("smallFiles", few(runs));
  for (const key of ["small_files_1000_ms", "small_files_1000_at_once_ms"])
    figures[key] = median(files.map((one) => one[key]));
  if (place.env) Object.assign(figures, await measureClient(samples, place.env));

  const exec = await samples("execTrue", few(runs));
  const later = exec.flatMap((one) => one.later);
  figures["tiny.exec_true_first20_ms_p50"] = median(exec.flatMap((one) => one.first20));
  figures["tiny.exec_true_ms_p50"] = median(later);
  figures["tiny.exec_true_ms_p95"] = percentile(later, 0.95);
  figures["tiny.stat_ms_p50"] = median(exec.flatMap((one) => one.stats));

  const moved = await samples("throughput", few(runs));
  for (const name of ["stdout", "upload", "download"]) {
    for (const key of [`${name}_mb_s`, `${name}_first_mb_s`])
      figures[key] = median(moved.map((one) => one[key]));
    if (name === "upload") figures["upload_over_mb_s"] = median(moved.map((one) => one.upload_over_mb_s));
  }

  const resident = async (count) =>
    median((await samples("holdBoxes", few(runs), count)).map((one) => one.resident_mb));
  const one = await resident(1);
  figures["box_resident_mb"] = one;
  figures["added_box_resident_mb"] = ((await resident(1 + MORE_BOXES)) - one) / MORE_BOXES;
  const idle = await samples("idleBoxes", few(runs), 1);
  figures["idle_cpu_percent"] = median(idle.map((run) => run.idle_cpu_percent));
  const many = await samples("idleBoxes", few(runs), MANY_BOXES);
  figures[`idle_${MANY_BOXES}_cpu_percent`] = median(many.map((run) => run.idle_cpu_percent));
  figures[`idle_${MANY_BOXES}_resident_mb`] = median(many.map((run) => run.resident_mb));
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

/** The SDK over HTTP: against `boxrun serve` in a process of its own, and against a server that does next to nothing. */
async function measureClient(samples, env) {
  const cli = fileURLToPath(new URL("../../dist/node/cli.js", import.meta.url));
  const server = spawn(process.execPath, [cli, "serve", "--port", "0"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await new Promise((resolve) => createInterface(server.stdout).once("line", resolve));
  const runs = await samples("execOverHttp", 2, line.slice(line.lastIndexOf(" ") + 1));
  server.kill();
  const exec = median(runs.flatMap((one) => one.exec));
  const fetch = median(runs.flatMap((one) => one.fetch));
  const [events] = await samples("events", 1);
  const [slow] = await samples("slowReader", 1);
  const [large] = await samples("largeFiles", 1);
  return {
    http_exec_true_ms_p50: exec,
    http_fetch_true_ms_p50: fetch,
    "ratio.http_exec": exec / fetch,
    events_mb_s: events.events_mb_s,
    slow_reader_extra_mb: slow.slow_reader_extra_mb,
    ...Object.fromEntries(Object.entries(large).filter(([key]) => key.startsWith("client_"))),
    ...(await measureSizes()),
  };
}

async function sample(place, name, times, count) {
  const all = [];
  for (let i = 0; i < times; i++) all.push(await place.measure(name, count));
  log(`  ${name}${typeof count === "number" || typeof count === "string" ? ` ${count}` : ""}: ${times} runs`);
  return all;
}

/** For what takes long and has many samples in each run. */
function few(runs) {
  return Math.max(1, Math.ceil(runs / 2));
}

function readArguments(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: "boolean" }, runs: { type: "string" }, before: { type: "string" } },
    });
    const [mode, ...unknown] = positionals;
    if (unknown.length > 0 || ![undefined, "languages", "network", "volumes"].includes(mode))
      throw new Error(`unknown: ${positionals.join(" ")}; there are languages, network and volumes`);
    if (values.before !== undefined && mode !== "languages") throw new Error("--before goes with languages");
    const usual = mode === "languages" ? DEFAULT_LANGUAGE_RUNS : DEFAULT_RUNS;
    const runs = Number(values.runs ?? usual);
    if (!Number.isInteger(runs) || runs < 1)
      throw new Error(`--runs must be an integer of at least 1, got ${values.runs}`);
    return { json: values.json ?? false, runs, before: values.before, mode };
  } catch (error) {
    console.error(`bench: ${error.message}`);
    process.exit(2);
  }
}
