import { BoxRunClient } from "boxrun";
import { contractSuite } from "boxrun/testing";
import * as vitest from "vitest";
import { FROM_A_PAGE } from "./cannot.js";

contractSuite(vitest, {
  name: "remote in Chromium, a server at the page's own origin",
  image: "tiny",
  // As a user's page on this machine finds it: by itself.
  createClient: () => new BoxRunClient({ backend: "remote" }),
  cannot: FROM_A_PAGE,
});
