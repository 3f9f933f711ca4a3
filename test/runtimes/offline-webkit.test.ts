import { inWebKit } from "./browsers.js";
import { offlineIn } from "./offline-in.js";
import { webkit } from "./runtimes.mjs";

offlineIn(webkit, inWebKit, ["none"]);
