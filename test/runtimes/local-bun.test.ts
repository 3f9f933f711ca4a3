import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { localContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { bun } from "./runtimes.mjs";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
afterAll(() => rmSync(state, { recursive: true, force: true }));

await localContractIn(bun, inProcess(bun.path), { state, cannot: {} });
