import { Agent, WebSocket } from "undici";
import type { SocketRequest, WebSocketLike } from "./web-socket.js";

/** What Node's fetch sends requests with, through the Unix socket at `path`. Its clocks are off: the client has its own. */
export function openAgent(path: string): { dispatcher: Agent; close: () => void } {
  const agent = new Agent({ connect: { socketPath: path }, headersTimeout: 0, bodyTimeout: 0 });
  return { dispatcher: agent, close: () => void agent.destroy().catch(() => {}) };
}

/** A WebSocket that can send headers, and go through an agent of {@link openAgent}. Node 20 has none of its own. */
export function openWebSocket(
  url: string,
  options: Omit<SocketRequest, "url"> & { dispatcher?: object },
): WebSocketLike {
  return new WebSocket(
    url,
    options as ConstructorParameters<typeof WebSocket>[1],
  ) as unknown as WebSocketLike;
}
