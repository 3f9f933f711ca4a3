import { inWebKit } from "./browsers.js";
import { relayIn } from "./relay-in.js";
import { webkit } from "./runtimes.mjs";

relayIn(webkit, inWebKit);
