import { inFirefox } from "./browsers.js";
import { offlineIn } from "./offline-in.js";
import { firefox } from "./runtimes.mjs";

offlineIn(firefox, inFirefox, ["none"]);
