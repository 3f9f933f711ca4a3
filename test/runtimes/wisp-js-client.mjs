/** A client of wisp-js: connects to a relay, and by it to an echo and to a port that nobody listens on. Prints what came of each, as JSON. */
import { createHash } from "node:crypto";
import { client as wisp } from "@mercuryworkshop/wisp-js/client";

const [url, host, echoPort, closedPort, version] = process.argv.slice(2);
const PIECE = Uint8Array.from({ length: 65_536 }, (_, i) => (i * 40_503) >> 7);
const PIECES = 128;

const connection = new wisp.ClientConnection(url, { wisp_version: Number(version) });
await new Promise((resolve, reject) => {
  connection.onopen = resolve;
  connection.onerror = reject;
});

async function echo() {
  const stream = connection.create_stream(host, Number(echoPort));
  const received = createHash("md5");
  let count = 0;
  const whole = new Promise((resolve) => {
    stream.onmessage = (bytes) => {
      received.update(bytes);
      count += bytes.byteLength;
      if (count >= PIECES * PIECE.byteLength) resolve();
    };
  });
  const sent = createHash("md5");
  for (let i = 0; i < PIECES; i++) {
    stream.send(PIECE);
    sent.update(PIECE);
  }
  await whole;
  stream.close();
  return [count, received.digest("hex") === sent.digest("hex")];
}

function refused() {
  const stream = connection.create_stream(host, Number(closedPort));
  return new Promise((resolve) => {
    stream.onclose = resolve;
  });
}

console.log(JSON.stringify({ echo: await echo(), refused: await refused() }));
process.exit(0);
