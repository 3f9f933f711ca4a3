import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { localContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { deno } from "./runtimes.mjs";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
const hostDirectory = mkdtempSync(join(tmpdir(), "boxrun-shared-"));
afterAll(() => {
  for (const folder of [state, hostDirectory]) rmSync(folder, { recursive: true, force: true });
});

/** What docs/guide/browsers.md says that it needs, and the way to who listens to the results. */
const ALLOWED = [
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys=hostname,homedir",
  "--allow-net=127.0.0.1",
];

const NO_PROC = "volumes open files below /proc, for which Deno wants --allow-all";

await localContractIn(deno, inProcess(deno.path, ["run", "--no-remote", "--no-prompt", ...ALLOWED]), {
  state,
  hostDirectory,
  cannot: {
    "mounts directories of the host, or says why not": NO_PROC,
    "keeps volumes over a stop and a start": NO_PROC,
    "reaches files in volumes by box.files, wherever links lead": NO_PROC,
    "watches volumes, wherever the changes are made": NO_PROC,
  },
});
