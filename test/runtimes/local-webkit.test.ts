import { localContractIn } from "./contract-in.js";
import { HOST, LOCALS } from "./locals.js";

await localContractIn(LOCALS.webkit, HOST);
