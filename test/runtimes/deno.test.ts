import { OVER_HTTP } from "../contract/cannot.js";
import { remoteContractIn } from "./contract-in.js";
import { inProcess } from "./launch.js";
import { deno } from "./runtimes.mjs";

await remoteContractIn(
  deno,
  inProcess(deno.path, [
    "run",
    "--no-remote",
    "--allow-net=127.0.0.1",
    "--no-prompt",
    "--allow-env",
    "--allow-sys=homedir",
  ]),
  {
    client: (server) => ({ backend: "remote", baseUrl: server }),
    cannot: OVER_HTTP,
  },
);
