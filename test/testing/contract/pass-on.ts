import { type IncomingMessage, request, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** Passes a request on to the server at `baseUrl`, as a user's own web server would. */
export function passOn(baseUrl: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { method, url, headers } = incoming;
  const passed = request(`${baseUrl}${url}`, { method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    outgoing.flushHeaders();
    answer.pipe(outgoing);
    // Node sends nothing more once it has the whole answer. Browsers go on, and look at it then.
    answer.on("end", () => {
      incoming.unpipe(passed);
      incoming.resume();
    });
    answer.on("error", () => outgoing.destroy());
  });
  passed.on("error", () => outgoing.destroy());
  // Who hangs up here hangs up there.
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) passed.destroy();
  });
  incoming.pipe(passed);
}

/** The same for a request that becomes a WebSocket. */
export function passOnUpgrade(
  baseUrl: string,
  incoming: IncomingMessage,
  client: Duplex,
  head: Buffer,
): void {
  const { method, url, headers } = incoming;
  const passed = request(`${baseUrl}${url}`, { method, headers });
  client.on("error", () => passed.destroy());
  passed.on("error", () => client.destroy());
  passed.on("response", () => client.destroy());
  passed.on("upgrade", (answer, server, rest) => {
    const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    client.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
    client.write(rest);
    server.write(head);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
  });
  passed.end();
}
