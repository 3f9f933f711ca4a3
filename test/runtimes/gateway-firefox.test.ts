import { inFirefox } from "./browsers.js";
import { gatewayIn } from "./gateway-in.js";
import { firefox } from "./runtimes.mjs";

gatewayIn(firefox, inFirefox);
