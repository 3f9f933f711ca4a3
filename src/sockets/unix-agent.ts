/**
 * The types of "boxrun/unix-agent". The build replaces it: by unix-agent-node.ts in Node's files, by a stub in a page's. It is a file of its own because
 * Node's own fetch takes a socket only from an agent of undici, and Node 20 has no WebSocket but undici's; that package is large.
 */
import type { SocketRequest, WebSocketLike } from "./web-socket-types.js";

/** Creates the agent by which Node's fetch sends requests through the Unix socket at `path`. */
export declare function openAgent(path: string): { dispatcher: object; close: () => void };

/** Opens a WebSocket that can send headers and go through a Unix socket. */
export declare function openWebSocket(
  url: string,
  options: Omit<SocketRequest, "url"> & { socketPath?: string },
): WebSocketLike;
