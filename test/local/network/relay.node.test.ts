import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type BoxHandle, BoxRunClient } from "boxrun";
import { afterAll, beforeAll, expect, it } from "vitest";
import { nodeDialer } from "../../../src/local/network/dialer-node.js";
import { serve } from "../../../src/server/node/serve.js";
import { FakeBackend } from "../../../src/testing/fake-backend.js";

const HOST = "127.0.0.1";
const web = createServer((request, response) => {
  if (request.url === "/slow") response.write("begun\n");
  else response.end("hello\n");
});
const openRelay = (port: number) =>
  serve(new FakeBackend(), {
    port,
    relay: {
      token: "s3cret",
      allow: ["*.example.com", `${HOST}/32:1-65535`],
      dialer: nodeDialer({ lookup: async () => [HOST] }),
    },
  });
let relay: Awaited<ReturnType<typeof openRelay>>;
let client: BoxRunClient;
let box: BoxHandle;
let url = "";

beforeAll(async () => {
  await once(web.listen(0, HOST), "listening");
  url = `http://web.example.com:${(web.address() as AddressInfo).port}`;
  relay = await openRelay(0);
  const place = relay.addresses[0]!.replace("http:", "ws:");
  client = new BoxRunClient({
    backend: "local",
    local: { persistent: false, relay: `${place}/v1/relay/?token=s3cret` },
  });
  box = await client.create("debian", { network: { allow: ["*.example.com"] } });
}, 60_000);
afterAll(async () => {
  await client?.close();
  await relay?.close();
  web.close();
  web.closeAllConnections();
});

const curl = async (...args: string[]) => {
  const { stdout, exitCode } = await box.exec(["curl", "-sS", ...args], { stderr: "stdout" });
  return { out: stdout, exitCode };
};

it("curl gets an answer by a relay, and learns what is refused when it connects", async () => {
  expect((await client.info()).wayOut).toBe("relay");
  expect(await curl(`${url}/`, `${url}/again`)).toEqual({ out: "hello\nhello\n", exitCode: 0 });
  expect(await curl("http://web.example.com:1/")).toMatchObject({ exitCode: 7 });
  expect(await curl("http://web.example.org/")).toMatchObject({ exitCode: 7 });
});

it("a relay that ends resets the connections of a box, whose log says why, and serves it again when it is back", async () => {
  const asked = once(web, "request");
  const cut = curl(`${url}/slow`);
  await asked;
  await relay.close();
  expect(await cut).toMatchObject({ exitCode: expect.toSatisfy((code) => code === 18 || code === 56) });
  expect((await box.network.log()).at(-1)).toMatchObject({
    error: "ECONNRESET",
    reason: "relay",
    message: "the WebSocket to the relay was lost",
  });
  expect(await curl(`${url}/`)).toMatchObject({ exitCode: 7 });
  expect((await box.network.log()).at(-1)).toMatchObject({ error: "ENETUNREACH", reason: "relay" });
  relay = await openRelay(Number(new URL(relay.addresses[0]!).port));
  expect(await curl(`${url}/`)).toEqual({ out: "hello\n", exitCode: 0 });
});
