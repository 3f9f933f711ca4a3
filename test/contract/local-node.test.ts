import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { afterAll } from "vitest";
import { contractSuite } from "./suite.js";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
afterAll(() => rmSync(state, { recursive: true }));

contractSuite({
  name: "local in Node",
  image: "tiny",
  createClient: () => new BoxRunClient({ backend: "local", local: { state } }),
  cannot: {},
});
