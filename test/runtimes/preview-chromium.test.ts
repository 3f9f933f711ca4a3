import { inChromium } from "./browsers.js";
import { previewIn } from "./preview-in.js";
import { chromium } from "./runtimes.mjs";

previewIn(chromium, inChromium, { withNone: true });
