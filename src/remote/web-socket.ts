import { BoxRunError, unsupported } from "../errors.js";
import { isInPage } from "./runtime.js";

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

interface Globals {
  WebSocket?: new (url: string, options: unknown) => WebSocketLike;
  Bun?: unknown;
  Deno?: unknown;
  navigator?: { userAgent?: string };
}

/** Begins to open a WebSocket by what this runtime has. UNSUPPORTED where it has none. */
export async function newWebSocket(
  { url, protocols, headers }: SocketRequest,
  Own: WebSocketClass | undefined,
): Promise<WebSocketLike> {
  if (Own) return new Own(url, protocols, { headers });
  const { WebSocket, Bun, Deno, navigator } = globalThis as Globals;
  if (isInPage() || navigator?.userAgent === "Cloudflare-Workers") {
    if (WebSocket) return new WebSocket(url, protocols);
  } else if (Bun !== undefined || Deno !== undefined) {
    if (WebSocket) return new WebSocket(url, { protocols, headers });
  } else {
    const { openWebSocket } = await import("boxrun/unix-agent");
    return openWebSocket(url, { protocols, headers });
  }
  throw unsupported("this runtime has no WebSocket", "pass one as the option WebSocket");
}

/** Resolves when it is open. CONNECTION_FAILED, which says no more than that: WebSockets don't. */
export function opened(socket: WebSocketLike, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = () =>
      reject(
        new BoxRunError("CONNECTION_FAILED", `${what}: the server did not accept the WebSocket`, {
          retryable: true,
          hint: "what stands between, or your fetch, passes no WebSockets on",
        }),
      );
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", failed);
    socket.addEventListener("close", failed);
  });
}
