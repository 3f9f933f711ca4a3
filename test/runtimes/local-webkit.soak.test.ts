import { localContractIn } from "./contract-in.js";
import { LOCALS } from "./locals.js";

await localContractIn(LOCALS.webkit);
