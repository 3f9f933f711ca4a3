/** A port of this machine that leads to a server in a box, in Node, Deno and Bun. Prints what came of it, as JSON. */
import { connect, createServer, type Server } from "node:net";
import process from "node:process";
import { BoxRunClient } from "../../src/index.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { deferred } from "../../src/util/deferred.js";

const backend = new FakeBackend({
  servers: {
    80: async ({ readable, writable }) => {
      const question = await new Response(readable).text();
      const writer = writable.getWriter();
      await writer.write(new TextEncoder().encode(`${question.length} bytes`));
      await writer.close();
    },
    81: ({ readable }) => void readable.getReader().read(),
  },
});
const client = new BoxRunClient({ backend });
const box = await client.create("fake");

/** Asks a port of this machine, with an end of the question before the answer. */
function ask(port: number, question: string): Promise<string> {
  const { promise, resolve } = deferred<string>();
  let answer = "";
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(question));
  socket.setEncoding("utf8").on("data", (text) => {
    answer += text;
  });
  socket.on("error", (error) => resolve((error as { code?: string }).code ?? "error"));
  socket.on("end", () => resolve(answer));
  return promise;
}

async function taken(): Promise<[Server, number]> {
  const server = createServer();
  const listening = deferred();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  return [server, (server.address() as { port: number }).port];
}

const forwarding = await box.forward(80);
const answer = await ask(forwarding.hostPort, "x".repeat(1_000_000));
const [other, inUse] = await taken();
const refused = await box.forward(80, { hostPort: inUse }).catch((error) => error.message);
other.close();
const silent = await box.forward(81);
const cut = ask(silent.hostPort, "question");
while (backend.openConnections === 0) await new Promise((resolve) => setTimeout(resolve, 5));
await box.remove({ force: true });
const results = {
  "a question and its answer": answer,
  "a port in use": String(refused).replace(String(inUse), "PORT"),
  "a connection when its box is removed": (await cut) === "question" ? "complete" : "cut",
};
await Promise.all([forwarding.closed, silent.closed]);
await client.close();
// Nothing keeps the process alive: it ends by itself.
process.stdout.write(JSON.stringify(results));
