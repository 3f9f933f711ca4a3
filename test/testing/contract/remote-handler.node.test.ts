import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { createLocalBackend } from "boxrun/local";
import { createHandler } from "boxrun/server";
import { contractSuite } from "boxrun/testing";
import * as vitest from "vitest";
import { KNOWN_FAILURES } from "./known-failures.js";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
const shared = mkdtempSync(join(tmpdir(), "boxrun-shared-"));
const backend = createLocalBackend({ state });
const fetch = createHandler(backend, { allowVolumes: true });

contractSuite(vitest, {
  name: "remote, the server in this process",
  image: "tiny",
  hostDirectory: shared,
  createClient: () => new BoxRunClient({ backend: "remote", baseUrl: "https://boxrun.internal", fetch }),
  tearDown: async () => {
    await backend.close();
    for (const folder of [state, shared]) rmSync(folder, { recursive: true });
  },
  cannot: { ...KNOWN_FAILURES.overHttp, ...KNOWN_FAILURES.withoutSockets },
});
