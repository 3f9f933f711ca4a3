import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { afterAll } from "vitest";
import { limitCases } from "./limits.js";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
afterAll(() => rmSync(state, { recursive: true }));

limitCases((local) => new BoxRunClient({ backend: "local", local: { state, ...local } }));
