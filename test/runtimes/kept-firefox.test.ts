import { inFirefox } from "./browsers.js";
import { keptIn } from "./kept-in.js";
import { firefox } from "./runtimes.mjs";

keptIn(firefox, inFirefox);
