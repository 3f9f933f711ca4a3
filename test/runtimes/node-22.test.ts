import { OVER_HTTP } from "../contract/cannot.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { node22 } from "./runtimes.mjs";

await remoteContractIn(node22, inProcess(node22.path), {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: OVER_HTTP,
});
