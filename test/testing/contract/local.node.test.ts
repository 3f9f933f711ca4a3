import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { contractSuite } from "boxrun/testing";
import * as vitest from "vitest";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
const shared = mkdtempSync(join(tmpdir(), "boxrun-shared-"));
vitest.afterAll(() => {
  for (const folder of [state, shared]) rmSync(folder, { recursive: true });
});

contractSuite(vitest, {
  name: "local in Node",
  image: "tiny",
  hostDirectory: shared,
  createClient: () => new BoxRunClient({ backend: "local", local: { state } }),
  cannot: {},
});
