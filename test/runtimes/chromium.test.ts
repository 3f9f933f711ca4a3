import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { inChromium } from "./browsers.js";
import { remoteContractIn } from "./contract-in.js";
import { chromium } from "./runtimes.mjs";

await remoteContractIn(chromium, inChromium, {
  // As a user's page on this machine finds its server: by itself.
  client: () => ({ backend: "remote" }),
  cannot: KNOWN_FAILURES.fromPage,
});
