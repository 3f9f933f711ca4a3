/** Connections by a relay to servers that its arguments name, in Node, Deno and Bun. Prints what came of each, as JSON, and ends by itself. */
import process from "node:process";
import { RelayDialer } from "../../src/local/network/relay-dialer.js";
import { codeOf } from "../local/network/connections.js";

const [url = "", echoPort, closedPort] = process.argv.slice(2);
const { signal } = new AbortController();
const host = "web.example.com";
const PIECE = new Uint8Array(2 ** 20).fill(7);
const PIECES = 8;

const relay = new RelayDialer(url);
// The call that waits for a box holds the process, and the relay does not.
const held = setInterval(() => {}, 1000);

async function echo(): Promise<number> {
  const { readable, writable } = await relay.connect({ host, port: Number(echoPort) }, { signal });
  const writer = writable.getWriter();
  const sent = (async () => {
    for (let i = 0; i < PIECES; i++) await writer.write(PIECE);
    await writer.close();
  })();
  let count = 0;
  for await (const chunk of readable) count += chunk.byteLength;
  await sent;
  return count;
}

const results = {
  echo: await echo(),
  refused: await codeOf(relay.connect({ host, port: Number(closedPort) }, { signal })),
  denied: await codeOf(relay.connect({ host: "elsewhere.example.org", port: 80 }, { signal })),
  unauthorized: await codeOf(
    new RelayDialer(url.replace(/token=.*/, "token=x")).connect({ host, port: 1 }, { signal }),
  ),
};
console.log(JSON.stringify(results));
clearInterval(held);
