import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { bun } from "./runtimes.mjs";

await remoteContractIn(bun, inProcess(bun.path), {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: KNOWN_FAILURES.overHttp,
});
