import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { createLocalBackend } from "boxrun/local";
import { contractSuite } from "boxrun/testing";
import * as vitest from "vitest";
import { publishedServer } from "../../published/server.js";
import { KNOWN_FAILURES } from "./known-failures.js";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
const shared = mkdtempSync(join(tmpdir(), "boxrun-shared-"));
const backend = createLocalBackend({ state });
const fetch = publishedServer(backend);

contractSuite(vitest, {
  name: "remote, the published server as it behaves",
  image: "tiny",
  hostDirectory: shared,
  createClient: () => new BoxRunClient({ backend: "remote", baseUrl: "http://boxrun.internal", fetch }),
  tearDown: async () => {
    await backend.close();
    for (const folder of [state, shared]) rmSync(folder, { recursive: true });
  },
  cannot: { ...KNOWN_FAILURES.overPublished, ...KNOWN_FAILURES.withoutTerminals },
});
