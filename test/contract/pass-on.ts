import { type IncomingMessage, request, type ServerResponse } from "node:http";

/** Passes a request on to the server at `baseUrl`, as a user's own web server would. */
export function passOn(baseUrl: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { method, url, headers } = incoming;
  const passed = request(`${baseUrl}${url}`, { method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    outgoing.flushHeaders();
    answer.pipe(outgoing);
    answer.on("error", () => outgoing.destroy());
  });
  passed.on("error", () => outgoing.destroy());
  // Who hangs up here hangs up there. Who has been answered may still be sending: that goes on.
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) passed.destroy();
  });
  incoming.pipe(passed);
}
