import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { inWebKit } from "./browsers.js";
import { remoteContractIn } from "./contract-in.js";
import { webkit } from "./runtimes.mjs";

await remoteContractIn(webkit, inWebKit, {
  // As a user's page on this machine finds its server: by itself.
  client: () => ({ backend: "remote" }),
  cannot: KNOWN_FAILURES.fromPage,
});
