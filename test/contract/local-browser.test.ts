import { BoxRunClient } from "boxrun";
import { contractSuite } from "./suite.js";

contractSuite({
  name: "local in Chromium",
  image: "tiny",
  createClient: () => new BoxRunClient({ backend: "local" }),
  cannot: {},
});
