import { KNOWN_FAILURES } from "../testing/contract/known-failures.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { deno } from "./runtimes.mjs";

/** All that the client needs; the environment is for what tells it the settings. */
const ALLOWED = ["--allow-net=127.0.0.1", "--allow-env"];

await remoteContractIn(deno, inProcess(deno.path, ["run", "--no-remote", "--no-prompt", ...ALLOWED]), {
  client: (server) => ({ backend: "remote", baseUrl: server }),
  cannot: KNOWN_FAILURES.overHttp,
});
