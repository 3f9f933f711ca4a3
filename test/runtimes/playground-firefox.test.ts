import { inFirefox } from "./browsers.js";
import { foldersIn, playgroundIn } from "./playground-in.js";
import { firefox } from "./runtimes.mjs";

playgroundIn(firefox, inFirefox);
foldersIn(firefox, inFirefox);
