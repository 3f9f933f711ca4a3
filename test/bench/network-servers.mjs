/** Servers on this machine's loopback for boxes that are measured: one of HTTP that lets pages read it, and a relay that leads to it. */
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { serve } from "boxrun/node";
import { FakeBackend } from "boxrun/testing";

const HOST = "127.0.0.1";
const MB = 1_000_000;
const KB = Buffer.alloc(1000);
const TOKEN = "bench";

/**
 * Starts them. The server answers "/" with 1 kB, and "/N" with N MB.
 * @param {string} origin of the pages that may use the relay
 */
export async function openNetworkServers(origin) {
  const web = createServer(({ url }, response) => {
    response.setHeader("access-control-allow-origin", "*");
    const megabytes = Number(url.slice(1));
    response.end(megabytes ? Buffer.alloc(megabytes * MB) : KB);
  });
  await once(web.listen(0, HOST), "listening");
  const { port } = web.address();
  // Whatever name a box asks for.
  const dialer = {
    connect: async () => {
      const socket = connect({ host: HOST, port });
      await once(socket, "connect");
      return Duplex.toWeb(socket);
    },
  };
  const relay = { token: TOKEN, allow: ["*.example.com"], dialer };
  const server = await serve(new FakeBackend(), { port: 0, allowOrigins: [origin], relay });
  return {
    settings: { port, relay: `${server.addresses[0].replace("http:", "ws:")}/v1/relay/?token=${TOKEN}` },
    close: async () => {
      await server.close();
      web.close();
      web.closeAllConnections();
    },
  };
}
