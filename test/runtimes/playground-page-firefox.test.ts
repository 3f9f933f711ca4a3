import { inFirefox } from "./browsers.js";
import { playgroundPageIn } from "./playground-page-in.js";
import { firefox } from "./runtimes.mjs";

playgroundPageIn(firefox, inFirefox);
