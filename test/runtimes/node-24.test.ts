import { OVER_HTTP } from "../contract/cannot.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { node24 } from "./runtimes.mjs";

await remoteContractIn(node24, inProcess(node24.path), {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: OVER_HTTP,
});
