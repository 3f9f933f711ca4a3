import { BoxRunError, unsupported } from "../backend/errors.js";
import { currentRuntime } from "../util/runtime.js";
import type { SocketRequest, WebSocketClass, WebSocketLike } from "./web-socket-types.js";

interface Globals {
  WebSocket?: new (url: string, options: unknown) => WebSocketLike;
}

/** Begins to open a WebSocket with the class of this runtime. @throws {BoxRunError} UNSUPPORTED when the runtime has none */
export async function newWebSocket(
  { url, protocols, headers, isBackground = false }: SocketRequest,
  Own: WebSocketClass | undefined,
): Promise<WebSocketLike> {
  if (Own) return new Own(url, protocols, { headers });
  const { WebSocket } = globalThis as Globals;
  const runtime = currentRuntime();
  if (runtime === "browser" || runtime === "workerd") {
    if (WebSocket) return new WebSocket(url, protocols);
  } else if (runtime === "bun" || runtime === "deno") {
    if (WebSocket) return new WebSocket(url, { protocols, headers });
  } else {
    const { openWebSocket } = await import("boxrun/unix-agent");
    return openWebSocket(url, { protocols, headers, isBackground });
  }
  throw unsupported("this runtime has no WebSocket", "pass one as the option WebSocket");
}

/** Resolves when the socket is open. @throws {BoxRunError} CONNECTION_FAILED without a reason, since WebSockets give none */
export function opened(socket: WebSocketLike, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = () =>
      reject(
        new BoxRunError("CONNECTION_FAILED", `${what}: the server did not accept the WebSocket`, {
          retryable: true,
          hint: "a proxy on the way, or your fetch, does not forward WebSockets",
        }),
      );
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", failed);
    socket.addEventListener("close", failed);
  });
}
