/**
 * The types of "boxrun/unix-agent", which the build replaces: by unix-agent-node.ts in Node's files, by nothing in a page's. It is a file of its own because
 * Node's own fetch takes a socket only from an agent of undici's, and Node 20 has no WebSocket but undici's; that is large.
 */
import type { SocketRequest, WebSocketLike } from "./web-socket-types.js";

/** What Node's fetch sends requests with, through the Unix socket at `path`. */
export declare function openAgent(path: string): { dispatcher: object; close: () => void };

/** A WebSocket that can send headers, and go through a Unix socket. */
export declare function openWebSocket(
  url: string,
  options: Omit<SocketRequest, "url"> & { socketPath?: string },
): WebSocketLike;
