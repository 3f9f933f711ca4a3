import { BoxRunClient } from "boxrun";
import { contractSuite } from "boxrun/testing";
import * as vitest from "vitest";

contractSuite(vitest, {
  name: "local in Chromium",
  image: "tiny",
  createClient: () => new BoxRunClient({ backend: "local" }),
  cannot: {},
});
