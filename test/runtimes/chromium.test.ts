import { remoteContractIn } from "./contract-in.js";
import { REMOTES, TRANSPORT } from "./remotes.js";

await remoteContractIn(REMOTES.chromium, TRANSPORT);
