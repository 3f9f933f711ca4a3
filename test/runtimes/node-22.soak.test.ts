import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { node22 } from "./runtimes.mjs";

await remoteContractIn(node22, inProcess(node22.path), {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: KNOWN_FAILURES.overHttp,
});
