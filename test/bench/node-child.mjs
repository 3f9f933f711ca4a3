/** Runs one workload in this process and prints its result as JSON: `node node-child.mjs NAME [JSON]`. */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { baseline } from "./baseline.mjs";
import { clientWorkloads } from "./client-workloads.mjs";
import { languageWorkloads } from "./languages.mjs";
import { networkWorkloads } from "./network-workloads.mjs";
import { volumeWorkloads } from "./volume-workloads.mjs";
import { workloads } from "./workloads.mjs";

const [name, json] = process.argv.slice(2);
const argument = json === undefined ? undefined : JSON.parse(json);
const assets = new URL("../../dist/assets/", import.meta.url);

globalThis.cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const loadFile = async (file) => new Uint8Array(gunzipSync(await readFile(new URL(file, assets))));

async function readFiles() {
  return JSON.parse(await readFile(new URL("manifest.json", assets), "utf8")).files;
}

const result =
  name === "baseline"
    ? await baseline((await import("v86")).V86, await readFiles(), loadFile, argument)
    : await {
        ...workloads,
        ...clientWorkloads,
        ...languageWorkloads,
        ...networkWorkloads,
        ...volumeWorkloads,
      }[name](argument);
const status = await readFile("/proc/self/status", "utf8").catch(() => "");
const resident_mb = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
process.stdout.write(JSON.stringify({ ...result, resident_mb }));
process.exit(0);
