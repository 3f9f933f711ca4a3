import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { contractSuite } from "boxrun/testing";
import * as vitest from "vitest";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
vitest.afterAll(() => rmSync(state, { recursive: true }));

contractSuite(vitest, {
  name: "local in Node",
  image: "tiny",
  createClient: () => new BoxRunClient({ backend: "local", local: { state } }),
  cannot: {},
});
