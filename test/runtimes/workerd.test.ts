import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { remoteContractIn } from "./contract-in.js";
import { workerd } from "./runtimes.mjs";
import { inWorker } from "./workerd.js";

await remoteContractIn(workerd, inWorker, {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: KNOWN_FAILURES.fromWorkerd,
});
