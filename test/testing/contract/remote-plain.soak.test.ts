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
/** A server that has the published API, and nothing more. */
const fetch = createHandler(backend, { extensions: false, allowVolumes: true, maxUploadBytes: 2_000_000 });

contractSuite(vitest, {
  name: "remote, a server of the published API alone",
  image: "tiny",
  hostDirectory: shared,
  createClient: () => new BoxRunClient({ backend: "remote", baseUrl: "http://boxrun.internal", fetch }),
  tearDown: async () => {
    await backend.close();
    for (const folder of [state, shared]) rmSync(folder, { recursive: true });
  },
  cannot: { ...KNOWN_FAILURES.overPlainHttp, ...KNOWN_FAILURES.withoutTerminals },
});
