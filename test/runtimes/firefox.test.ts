import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { inFirefox } from "./browsers.js";
import { remoteContractIn } from "./contract-in.js";
import { firefox } from "./runtimes.mjs";

await remoteContractIn(firefox, inFirefox, {
  // As a user's page on this machine finds its server: by itself.
  client: () => ({ backend: "remote" }),
  cannot: KNOWN_FAILURES.fromPage,
});
