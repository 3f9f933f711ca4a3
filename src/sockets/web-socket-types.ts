/**
 * The part of a WebSocket that the client uses. Those of browsers, Deno, Bun, Node 22 and the package ws have it. Members are those of the WHATWG WebSockets
 * Standard, but for `probe`.
 */
export interface WebSocketLike {
  /** Type of binary messages; set to "arraybuffer". */
  binaryType: string;
  /** Number of bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** Sends a message of text or bytes. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Closes the connection. */
  close(code?: number, reason?: string): void;
  /** Asks the other end for a sign of life, and calls `heard` when it comes. Only sockets that this package opens by itself have this method. */
  probe?(heard: () => void): void;
  /** Calls `listener` for each message, when the connection is open, or when it is closed or lost. */
  addEventListener(type: "open" | "close" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
}

/** Constructor of a WebSocket. Outside of browsers most take headers, too: as `headers` of the second argument (Node, Deno, Bun) or of the third (ws). */
export type WebSocketClass = new (
  url: string,
  protocols: string[],
  options?: { headers: Record<string, string> },
) => WebSocketLike;

/** A request for a WebSocket. */
export interface SocketRequest {
  /** URL to connect to. */
  url: string;
  /** Sub-protocols to offer. */
  protocols: string[];
  /** Headers to send. */
  headers: Record<string, string>;
  /** Whether a Node process may end while it is open. @default false */
  isBackground?: boolean;
}
