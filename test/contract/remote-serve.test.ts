import { BoxRunClient } from "boxrun";
import { OVER_HTTP } from "./cannot.js";
import { startServe } from "./serve.js";
import { contractSuite } from "./suite.js";

let server: Awaited<ReturnType<typeof startServe>> | undefined;

contractSuite({
  name: "remote, a server over HTTP",
  image: "tiny",
  setUp: async () => {
    server = await startServe();
  },
  createClient: () => new BoxRunClient({ backend: "remote", baseUrl: server!.baseUrl }),
  tearDown: async () => server?.stop(),
  cannot: OVER_HTTP,
});
