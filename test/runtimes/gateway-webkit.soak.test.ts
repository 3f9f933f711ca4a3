import { inWebKit } from "./browsers.js";
import { gatewayIn, PIP } from "./gateway-in.js";
import { webkit } from "./runtimes.mjs";

gatewayIn(webkit, inWebKit, PIP);
