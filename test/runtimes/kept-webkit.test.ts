import { inWebKit } from "./browsers.js";
import { keptIn } from "./kept-in.js";
import { webkit } from "./runtimes.mjs";

keptIn(webkit, inWebKit);
