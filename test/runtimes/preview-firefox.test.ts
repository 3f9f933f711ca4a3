import { inFirefox } from "./browsers.js";
import { previewIn } from "./preview-in.js";
import { firefox } from "./runtimes.mjs";

previewIn(firefox, inFirefox);
