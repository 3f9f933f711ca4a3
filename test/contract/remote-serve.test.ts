import { BoxRunClient } from "boxrun";
import { contractSuite } from "boxrun/testing";
import * as vitest from "vitest";
import { OVER_HTTP } from "./cannot.js";
import { startServe } from "./serve.js";

let server: Awaited<ReturnType<typeof startServe>> | undefined;

contractSuite(vitest, {
  name: "remote, a server over HTTP",
  image: "tiny",
  setUp: async () => {
    server = await startServe();
  },
  createClient: () => new BoxRunClient({ backend: "remote", baseUrl: server!.baseUrl }),
  tearDown: async () => server?.stop(),
  cannot: OVER_HTTP,
});
