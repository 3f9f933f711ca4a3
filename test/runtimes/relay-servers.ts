import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { nodeDialer } from "../../src/local/network/dialer-node.js";
import { serve } from "../../src/server/node/serve.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

const HOST = "127.0.0.1";

/** Starts a relay that leads names below example.com to this machine's loopback, until the test has ended. Returns its URL with the token in the query, and in the path. */
export async function startRelay(allowOrigins: string[] = []): Promise<{ url: string; pathUrl: string }> {
  const server = await serve(new FakeBackend(), {
    port: 0,
    allowOrigins,
    relay: {
      token: "s3cret",
      allow: ["*.example.com", `${HOST}/32:1-65535`],
      dialer: nodeDialer({ lookup: async () => [HOST] }),
    },
  });
  onTestFinished(() => server.close());
  const place = `${server.addresses[0]!.replace("http:", "ws:")}/v1/relay/`;
  return { url: `${place}?token=s3cret`, pathUrl: `${place}s3cret/` };
}

/** Starts a server of TCP, until the test has ended. Returns its port. */
export async function startServer(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(server.listen(0, HOST), "listening");
  return (server.address() as AddressInfo).port;
}

/** Returns a port on which nobody listens. */
export async function findClosedPort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
