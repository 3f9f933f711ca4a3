import { BoxRunError } from "../backend/errors.js";
import type { BoxWebSocket } from "../ports/port-types.js";
import { openWebSocket } from "../ports/web-socket.js";
import { following } from "../util/abort.js";
import { pause, startTimer } from "../util/timer.js";
import { addressOf, type Connect, failurePage, forwarded } from "./preview-request.js";
import type { Preview } from "./previews.js";
import type { ServerSocket } from "./terminal.js";
import type { Upgrade } from "./upgrade.js";

/** Longest wait for the answer of the server in the box to the handshake. */
const HANDSHAKE_MS = 30_000;
/** Limit of the bytes that wait to be sent to the client. */
const MAX_OUTPUT_BYTES = 2 ** 20;
/** Limit of the bytes of the client that wait for the server in the box. */
const MAX_INPUT_BYTES = 16 * 2 ** 20;
/** Cost of a message beside its bytes. */
const MESSAGE_COST = 256;
/** Poll interval: a WebSocket does not notify when it has sent its data. */
const DRAIN_POLL_MS = 10;
const NORMAL = 1000;
const NO_STATUS = 1005;
const INTERNAL_ERROR = 1011;
const TRY_LATER = 1013;

/** Opens the WebSocket to the server in the box that a client asks for. Resolves to a response when that server does not accept it. */
export async function upgradePreview(
  preview: Preview,
  connect: Connect,
  request: Request,
): Promise<Response | Upgrade> {
  const { port, life } = preview;
  const headers = forwarded(request, port);
  const protocols = (headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
  const sent = Object.fromEntries([...headers].filter(([name]) => !name.startsWith("sec-websocket-")));
  const { pathname, search } = addressOf(request, port);
  // The signal also ends the WebSocket later, when the preview is closed.
  const lives = following(life.signal);
  const stop = startTimer(HANDSHAKE_MS, () =>
    lives.life.abort(new BoxRunError("TIMEOUT", "the server in the box did not answer the handshake")),
  );
  try {
    const box = await openWebSocket(connect, port, `${pathname}${search}`, {
      protocols: protocols.filter((name) => name !== ""),
      headers: sent,
      signal: lives.life.signal,
    });
    void box.closed.then(() => lives.end());
    return {
      protocol: box.protocol,
      accept: (client) => join(box, client),
      cancel: () => void box.close(),
    };
  } catch (error) {
    lives.end();
    return failurePage(error, port);
  } finally {
    stop();
  }
}

/** Passes messages both ways, until one of the WebSockets is closed. */
async function join(box: BoxWebSocket, client: ServerSocket): Promise<void> {
  const writer = box.writable.getWriter();
  writer.closed.catch(() => {});
  let isGone = false;
  let waiting = 0;
  const leave = () => {
    isGone = true;
    void box.close();
  };
  client.binaryType = "arraybuffer";
  client.addEventListener("message", ({ data }) => {
    const message = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    const cost = message.length + MESSAGE_COST;
    waiting += cost;
    if (waiting > MAX_INPUT_BYTES) {
      client.close(TRY_LATER, "the server in the box reads too slowly");
      return leave();
    }
    writer.write(message).then(
      () => {
        waiting -= cost;
      },
      () => {},
    );
  });
  client.addEventListener("close", leave);
  client.addEventListener("error", leave);
  await sendAll(box.readable, client, () => isGone).catch(() => {});
  const { code, reason } = await box.closed;
  if (isGone) return;
  const isPlain = code === NORMAL || code === NO_STATUS;
  try {
    client.close(isPlain ? NORMAL : code >= 3000 ? code : INTERNAL_ERROR, reason);
  } catch {
    // It is closed already.
  }
}

async function sendAll(
  from: ReadableStream<string | Uint8Array>,
  client: ServerSocket,
  isGone: () => boolean,
): Promise<void> {
  const reader = from.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done || isGone()) return;
    client.send(value);
    while (!isGone() && (client.bufferedAmount ?? 0) > MAX_OUTPUT_BYTES) await pause(DRAIN_POLL_MS);
  }
}
