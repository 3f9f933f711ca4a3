import { inWebKit } from "./browsers.js";
import { previewIn } from "./preview-in.js";
import { webkit } from "./runtimes.mjs";

previewIn(webkit, inWebKit);
