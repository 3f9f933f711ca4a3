import { inWebKit } from "./browsers.js";
import { playgroundIn } from "./playground-in.js";
import { webkit } from "./runtimes.mjs";

playgroundIn(webkit, inWebKit);
