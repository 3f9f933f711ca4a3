import { inChromium } from "./browsers.js";
import { gatewayIn, PIP } from "./gateway-in.js";
import { chromium } from "./runtimes.mjs";

gatewayIn(chromium, inChromium, PIP);
