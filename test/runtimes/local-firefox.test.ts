import { inFirefox } from "./browsers.js";
import { localContractIn } from "./contract-in.js";
import { firefox } from "./runtimes.mjs";

await localContractIn(firefox, inFirefox, { state: "contract", cannot: {} });
