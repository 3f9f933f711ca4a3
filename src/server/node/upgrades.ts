import { type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Handler } from "../handler.js";
import type { ServerSocket } from "../terminal.js";
import type { Upgrade } from "../upgrade.js";

/** Largest frame that a client may send. */
const MAX_FRAME_BYTES = 2 ** 20;
/** Time in which a client must answer a ping. After that it counts as gone, even though nothing has closed its connection. */
const PING_MS = 30_000;

/** Handles a server's requests for WebSockets. Returns a function that closes the open ones, since a closing server waits for them. */
export function serveUpgrades(server: Server, handler: Pick<Handler, "upgrade">): () => void {
  const accepted = new Map<IncomingMessage, Upgrade>();
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    handleProtocols: (_offered, request) => accepted.get(request)?.protocol || false,
  });
  server.on("upgrade", async (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!/\bwebsocket\b/i.test(incoming.headers.upgrade ?? "")) return ignore(server, incoming, socket, head);
    const drop = () => void socket.destroy();
    socket.on("error", drop);
    // Nobody awaits this listener, so an error that it throws would end the process.
    const answer = await Promise.resolve(incoming)
      .then((given) => handler.upgrade(requestOf(given)))
      .catch(() => new Response(null, { status: 500 }));
    if (answer instanceof Response) return void socket.end(await textOf(answer));
    socket.off("error", drop);
    accepted.set(incoming, answer);
    let isAccepted = false;
    sockets.handleUpgrade(incoming, socket, head, (webSocket) => {
      isAccepted = true;
      watch(webSocket);
      void answer.accept(webSocket as ServerSocket);
    });
    // The client has gone, or its handshake is wrong.
    if (!isAccepted) answer.cancel?.();
    accepted.delete(incoming);
  });
  return () => {
    for (const webSocket of sockets.clients) webSocket.terminate();
  };
}

/**
 * Goes on as if a request had not asked for another protocol, as a server may: clients offer HTTP/2 with any request. Node, which would have to be told before,
 * has by now taken its parser off the connection and left the body unread. So the connection comes to the server once more, with the request without its offer.
 */
function ignore(server: Server, incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = incoming;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name = "", value = ""] = rawHeaders.slice(i, i + 2);
    const isConnection = name.toLowerCase() === "connection";
    const kept = isConnection ? value.split(",").filter((option) => !isOfUpgrade(option.trim())) : [value];
    if (kept.length > 0 && !isOfUpgrade(name)) lines.push(`${name}: ${kept.join(",")}`);
  }
  server.emit("connection", socket);
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), head]));
}

const isOfUpgrade = (name: string) => ["upgrade", "http2-settings"].includes(name.toLowerCase());

/** Detects a connection that only this end still considers open. */
function watch(webSocket: WebSocket): void {
  let answered = true;
  webSocket.on("pong", () => {
    answered = true;
  });
  const timer = setInterval(() => {
    if (!answered) return webSocket.terminate();
    answered = false;
    webSocket.ping();
  }, PING_MS);
  webSocket.on("close", () => clearInterval(timer));
}

function requestOf(incoming: IncomingMessage): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  // A malformed URL from a client would throw; the guard refuses an empty host. The parts are joined as text, since with a base "//host/" would name another
  // host.
  const url = `http://${incoming.headers.host ?? ""}${incoming.url ?? ""}`;
  return new Request(incoming.url?.startsWith("/") && URL.canParse(url) ? url : "http://invalid/", {
    headers,
  });
}

async function textOf(response: Response): Promise<string> {
  const body = await response.text();
  const headers = [
    ...response.headers,
    ["connection", "close"],
    ["content-length", String(Buffer.byteLength(body))],
  ];
  return [
    `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ""}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    "",
    body,
  ].join("\r\n");
}
