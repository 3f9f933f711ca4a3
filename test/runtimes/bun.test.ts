import { OVER_HTTP } from "../contract/cannot.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { bun } from "./runtimes.mjs";

await remoteContractIn(bun, inProcess(bun.path), {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: OVER_HTTP,
});
