import { FROM_A_PAGE } from "../contract/cannot.js";
import { inChromium } from "./browsers.js";
import { remoteContractIn } from "./contract-in.js";
import { chromium } from "./runtimes.mjs";

await remoteContractIn(chromium, inChromium, {
  // As a user's page on this machine finds its server: by itself.
  client: () => ({ backend: "remote" }),
  cannot: FROM_A_PAGE,
});
