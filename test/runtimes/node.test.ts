import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { node } from "./runtimes.mjs";

await remoteContractIn(node, inProcess(node.path), {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: KNOWN_FAILURES.overHttp,
});
