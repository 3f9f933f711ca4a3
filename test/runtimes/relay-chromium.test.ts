import { inChromium } from "./browsers.js";
import { relayIn } from "./relay-in.js";
import { chromium } from "./runtimes.mjs";

relayIn(chromium, inChromium);
