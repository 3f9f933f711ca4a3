import {
  type ByteConnection,
  type Dialer,
  type DialOptions,
  type DialTarget,
  RelayError,
} from "../../network/dialer.js";
import { HOST_NAME } from "../../network/names.js";
import { newWebSocket } from "../../sockets/web-socket.js";
import type { WebSocketLike } from "../../sockets/web-socket-types.js";
import { untilAborted } from "../../util/abort.js";
import { startTimer } from "../../util/timer.js";
import { CLOCKS, type RelayClocks, RelaySession } from "./relay-session.js";

/** Time for which a WebSocket without a connection is kept for the next one. */
const IDLE_MS = 5000;

/** Options of {@link RelayDialer}, for tests. */
export interface RelayDialerOptions {
  /** Opens a WebSocket. @default that of this runtime */
  openSocket?: (url: string) => Promise<WebSocketLike>;
  /** Time limits. @default those of a box */
  clocks?: Partial<RelayClocks>;
}

/**
 * Makes connections by a relay that speaks Wisp. It has one WebSocket for all, which is opened for the first of them, closed soon after the last, and opened anew for the next when it was lost.
 * Names are looked up by the relay, and the addresses of names are its to check.
 */
export class RelayDialer implements Dialer {
  /** Session for the next connection; undefined when there is none. */
  private opening: Promise<RelaySession> | undefined;
  private live: RelaySession | undefined;
  private stopTimer = () => {};
  private isClosed = false;

  /** Creates a dialer for the relay at a URL, which has been checked. */
  constructor(
    private readonly url: string,
    private readonly options: RelayDialerOptions = {},
  ) {}

  /** Connects. */
  async connect(target: DialTarget, { signal }: DialOptions): Promise<ByteConnection> {
    if (target.host === HOST_NAME) throw new RelayError("EACCES", `${HOST_NAME} is not on the relay's side`);
    if (this.isClosed) throw new RelayError("ENETUNREACH", "the relay is no longer needed");
    this.opening ??= this.open();
    const session = await untilAborted(this.opening, signal);
    return session.connect(target, signal);
  }

  /** Closes the WebSocket, and with it all connections. Idempotent. */
  close(): void {
    this.isClosed = true;
    this.stopTimer();
    this.live?.close();
  }

  private async open(): Promise<RelaySession> {
    let session: RelaySession;
    try {
      session = await this.begin();
    } catch {
      // The error may have the URL in it, which has the token.
      this.opening = undefined;
      throw new RelayError("ENETUNREACH", "a WebSocket to the relay cannot be opened here");
    }
    this.live = session;
    if (this.isClosed) session.close();
    await session.opened;
    this.closeWhenIdle(session);
    return session;
  }

  private async begin(): Promise<RelaySession> {
    const { openSocket = openOwn, clocks } = this.options;
    const session = new RelaySession(
      await openSocket(this.url),
      {
        onIdle: () => this.closeWhenIdle(session),
        onEnd: () => {
          // Another one is not opened before this one has ended.
          this.opening = undefined;
        },
      },
      { ...CLOCKS, ...clocks },
    );
    return session;
  }

  private closeWhenIdle(session: RelaySession): void {
    this.stopTimer();
    this.stopTimer = startTimer(IDLE_MS, () => session.isIdle && session.close());
  }
}

function openOwn(url: string): Promise<WebSocketLike> {
  return newWebSocket({ url, protocols: [], headers: {}, isBackground: true }, undefined);
}
