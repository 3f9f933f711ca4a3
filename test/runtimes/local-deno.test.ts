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

/** What docs/guide/browsers.md says that it needs, and the way to who listens to the results. Directories of the host need more: there are no volumes of them. */
const ALLOWED = [
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys=hostname,homedir",
  "--allow-net=127.0.0.1",
];

await localContractIn(deno, inProcess(deno.path, ["run", "--no-remote", "--no-prompt", ...ALLOWED]), {
  state,
  hostDirectory,
  cannot: {},
});
