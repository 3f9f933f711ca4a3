import { FROM_WORKERD } from "../contract/cannot.js";
import { remoteContractIn } from "./contract-in.js";
import { workerd } from "./runtimes.mjs";
import { inWorker } from "./workerd.js";

await remoteContractIn(workerd, inWorker, {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: FROM_WORKERD,
});
