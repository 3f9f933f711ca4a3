import { inWebKit } from "./browsers.js";
import { localContractIn } from "./contract-in.js";
import { webkit } from "./runtimes.mjs";

await localContractIn(webkit, inWebKit, { state: "contract", cannot: {} });
