import { inFirefox } from "./browsers.js";
import { relayIn } from "./relay-in.js";
import { firefox } from "./runtimes.mjs";

relayIn(firefox, inFirefox);
