import { inChromium } from "./browsers.js";
import { offlineIn } from "./offline-in.js";
import { chromium } from "./runtimes.mjs";

offlineIn(chromium, inChromium, ["programs", "none"]);
