import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { node24 } from "./runtimes.mjs";

await remoteContractIn(node24, inProcess(node24.path), {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: KNOWN_FAILURES.overHttp,
});
