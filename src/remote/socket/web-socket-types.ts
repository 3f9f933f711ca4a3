/** Of a WebSocket, what is used here: the standard's, of browsers, Deno, Bun, Node 22 and the package ws. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  /** Asks the other end whether it is there, and calls back when it says so. Only where this project opens the socket by itself can it do that. */
  probe?(heard: () => void): void;
  addEventListener(type: "open" | "close" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
}

/** What makes one. Outside of browsers most take headers, too: as `headers` of the second argument (Node, Deno, Bun) or of the third (ws). */
export type WebSocketClass = new (
  url: string,
  protocols: string[],
  options?: { headers: Record<string, string> },
) => WebSocketLike;

/** Where to connect to, and with what. */
export interface SocketRequest {
  url: string;
  protocols: string[];
  headers: Record<string, string>;
}
