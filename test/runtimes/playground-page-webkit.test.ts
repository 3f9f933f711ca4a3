import { inWebKit } from "./browsers.js";
import { playgroundPageIn } from "./playground-page-in.js";
import { webkit } from "./runtimes.mjs";

playgroundPageIn(webkit, inWebKit);
