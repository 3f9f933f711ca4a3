import { inFirefox } from "./browsers.js";
import { playgroundIn } from "./playground-in.js";
import { firefox } from "./runtimes.mjs";

playgroundIn(firefox, inFirefox);
