/**
 * Signs of life on a port between an application's page and the other side of a request or WebSocket of a preview. Not every browser tells a port that its other side is gone, and none tells
 * of one that hangs. The page pings, the other side answers, and each gives up when it hears nothing. Both count their own timers, since browsers stop those of hidden pages.
 */

/** Time between two pings. Timers of a page that is hidden come once a minute. */
const PING_MS = 15_000;
/** Pings without an answer at which the page gives up: after a minute. */
const MAX_UNANSWERED = 4;
/** Periods of silence at which the other side gives up: those of a page that is hidden may be four times as long. */
const MAX_SILENT = 10;

/** Message of the page to the other side of a port, which answers with {@link Pong}. */
export interface Ping {
  type: "ping";
}
export interface Pong {
  type: "pong";
}

/** The page's half: pings until the returned function is called, and calls `onDead` when nothing has answered. `heard` notes an answer. */
export function pingPort(port: MessagePort, onDead: () => void): { heard(): void; stop(): void } {
  let unanswered = 0;
  const timer = setInterval(() => {
    if (unanswered++ < MAX_UNANSWERED) return port.postMessage({ type: "ping" } satisfies Ping);
    clearInterval(timer);
    onDead();
  }, PING_MS);
  return {
    heard: () => {
      unanswered = 0;
    },
    stop: () => clearInterval(timer),
  };
}

/** The other side's half: answers pings, passes on all other messages, and calls `onDead` when nothing has come for long, until the returned function is called. */
export function answerPings<T extends { type: string }>(
  port: MessagePort,
  onMessage: (message: T) => void,
  onDead: () => void,
): () => void {
  let silent = 0;
  const timer = setInterval(() => {
    if (++silent < MAX_SILENT) return;
    clearInterval(timer);
    onDead();
  }, PING_MS);
  port.onmessage = ({ data }) => {
    silent = 0;
    const message = data as T | Ping;
    if (message.type !== "ping") onMessage(message as T);
    else port.postMessage({ type: "pong" } satisfies Pong);
  };
  return () => clearInterval(timer);
}
