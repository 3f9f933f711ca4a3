import { remoteContractIn } from "./contract-in.js";
import { REMOTES } from "./remotes.js";

await remoteContractIn(REMOTES.chromium);
