import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { Agent, buildConnector, ping, WebSocket } from "undici";
import { startTimer } from "../util/timer.js";
import type { SocketRequest, WebSocketLike } from "./web-socket-types.js";

/** Time in milliseconds for the other side to confirm the close. A WebSocket itself would wait forever. */
const CLOSE_MS = 5000;
const PONG = "undici:websocket:pong";

/** Creates the agent by which Node's fetch sends requests through the Unix socket at `path`. Its timeouts are off, since the client has its own. */
export function openAgent(path: string): { dispatcher: Agent; close: () => void } {
  const agent = new Agent({ connect: { socketPath: path }, headersTimeout: 0, bodyTimeout: 0 });
  return { dispatcher: agent, close: () => void agent.destroy().catch(() => {}) };
}

/** Opens a WebSocket that can send headers and go through a Unix socket. Node 20 has no WebSocket of its own. */
export function openWebSocket(
  url: string,
  { socketPath, isBackground, ...options }: Omit<SocketRequest, "url"> & { socketPath?: string },
): WebSocketLike {
  let connection: Socket | undefined;
  const connectTo = buildConnector(socketPath === undefined ? {} : { socketPath });
  const dispatcher = new Agent({
    connect: (where, done) =>
      connectTo(where, (...result) => {
        connection = result[1] ?? undefined;
        if (isBackground) connection?.unref();
        done(...result);
      }),
  });
  const socket = new WebSocket(url, { ...options, dispatcher });
  const close = socket.close.bind(socket);
  let stopClock = () => {};
  let onAnswer = () => {};
  const hear = (message: unknown) => {
    if ((message as { websocket: unknown }).websocket === socket) onAnswer();
  };
  subscribe(PONG, hear);
  socket.addEventListener("close", () => {
    unsubscribe(PONG, hear);
    stopClock();
    void dispatcher.destroy().catch(() => {});
  });
  return Object.assign(socket, {
    close: (code?: number, reason?: string) => {
      close(code, reason);
      stopClock();
      stopClock = startTimer(CLOSE_MS, () => connection?.destroy());
    },
    probe: (heard: () => void) => {
      onAnswer = heard;
      ping(socket);
    },
  }) as unknown as WebSocketLike;
}
