import { BoxRunClient } from "boxrun";
import { FROM_A_PAGE } from "./cannot.js";
import { contractSuite } from "./suite.js";

contractSuite({
  name: "remote in Chromium, a server at the page's own origin",
  image: "tiny",
  // As a user's page on this machine finds it: by itself.
  createClient: () => new BoxRunClient({ backend: "remote" }),
  cannot: FROM_A_PAGE,
});
