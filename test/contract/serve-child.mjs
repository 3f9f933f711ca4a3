/**
 * Serves the local backend over HTTP on a port of its own, as a process of its own: a real server to run the contract against. Prints its port, and ends when its
 * stdin does, so that it never outlives the test that started it. Argument: a folder for its state.
 */
import { serve } from "@hono/node-server";
import { createLocalBackend } from "../../dist/node/local.js";
import { createHandler } from "../../dist/node/server.js";

const backend = createLocalBackend({ state: process.argv[2] });
const fetch = createHandler(backend, { hosts: ["127.0.0.1", "localhost"] });
const server = serve({ fetch, port: 0, hostname: "127.0.0.1", overrideGlobalObjects: false }, ({ port }) => {
  console.log(port);
});

process.stdin.resume();
process.stdin.on("end", async () => {
  server.close();
  server.closeAllConnections();
  await backend.close();
  process.exit(0);
});
