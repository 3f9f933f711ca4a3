import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { localContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { bun } from "./runtimes.mjs";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
const hostDirectory = mkdtempSync(join(tmpdir(), "boxrun-shared-"));
afterAll(() => {
  for (const folder of [state, hostDirectory]) rmSync(folder, { recursive: true, force: true });
});

await localContractIn(bun, inProcess(bun.path), { state, hostDirectory, cannot: {} });
