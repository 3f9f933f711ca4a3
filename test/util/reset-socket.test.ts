import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { resetSocket } from "../../src/util/reset-socket.js";

const server = createServer({ allowHalfOpen: true });
afterEach(() => server.close());

async function pair(): Promise<[Socket, Socket]> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  const [[accepted]] = await Promise.all([once(server, "connection"), once(client, "connect")]);
  return [client, accepted as Socket];
}

it("resets a connection, which the other side sees", async () => {
  const [client, accepted] = await pair();
  resetSocket(accepted);
  const [error] = await once(client, "error");
  expect(error).toMatchObject({ code: "ECONNRESET" });
});

it("closes a socket whose end is under way, which Node would leak", async () => {
  const [client, accepted] = await pair();
  const errors: Error[] = [];
  accepted.on("error", (error) => errors.push(error));
  accepted.end("some");
  resetSocket(accepted);
  await once(accepted, "close");
  expect(errors).toEqual([]);
  client.destroy();
});

it("resets one whose end has been sent", async () => {
  const [client, accepted] = await pair();
  accepted.end("some");
  await once(accepted, "finish");
  resetSocket(accepted);
  await once(accepted, "close");
  client.destroy();
});
