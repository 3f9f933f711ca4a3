import type { Terminal, TerminalSpec } from "../backend/backend.js";
import { BoxRunError, ERROR_CODES, type ErrorCode } from "../backend/errors.js";
import { requireTerminalSize } from "../backend/terminal-size.js";
import { type ClientFrame, serverFrame } from "../contract/attach.js";
import type { WebSocketLike } from "../sockets/web-socket-types.js";
import { whenAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { pause, startTimer } from "../util/timer.js";
import type { Http } from "./http/http.js";

/** Limits of the unread bytes: at the first the server is asked to pause, if it can, and at the second to resume. */
const PAUSE_BYTES = 2 ** 20;
const RESUME_BYTES = 2 ** 18;
/** Limit of the unread bytes at which the terminal is given up: a server without extensions cannot be asked to pause. */
const MAX_UNREAD_BYTES = 64 * 2 ** 20;
/** Limit of the unsent bytes, at which a writer has to wait. */
const MAX_UNSENT_BYTES = 2 ** 20;
const PIECE_BYTES = 2 ** 16;
/** Poll interval: a WebSocket does not notify when it has sent its data. */
const DRAIN_POLL_MS = 10;

/** Opens `GET .../attach`. `isAlive` checks by another request whether the server is there when the socket has been silent; it rejects if not. */
export async function attach(
  http: Http,
  box: string,
  spec: TerminalSpec,
  { signal, isAlive }: { signal?: AbortSignal; isAlive: () => Promise<unknown> },
): Promise<Terminal> {
  const { shell, cols, rows, term } = spec;
  const query = {
    ...(shell !== null && { shell }),
    cols: String(cols),
    rows: String(rows),
    term,
    ...(http.extended && { flow: "1" }),
  };
  const options = {
    what: `terminal of ${box}`,
    flow: http.extended,
    silenceMs: http.clocks.silenceMs,
    isAlive,
  };
  return http.webSocket(
    "attach",
    { params: { box }, query, ...(signal && { signal }) },
    (socket, life, end) => new RemoteTerminal(socket, life, spec, options, end),
  );
}

interface Options {
  what: string;
  flow: boolean;
  silenceMs: number;
  isAlive: () => Promise<unknown>;
}

class RemoteTerminal implements Terminal {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array | string>;
  readonly exited: Promise<number | null>;
  private readonly ended = deferred<number | null>();
  private readonly unread: Uint8Array[] = [];
  private unreadBytes = 0;
  private changed = deferred<void>();
  private isOpen = true;
  private isPaused = false;
  private failure: { reason: unknown } | undefined;
  private stopClock = () => {};
  private readonly forget: () => void;

  /** A property, so that it may be taken from the object. */
  readonly close = async (): Promise<void> => {
    this.end(null);
  };

  /** A property, so that it may be taken from the object. */
  readonly resize = (cols: number, rows: number): void => {
    requireTerminalSize({ cols, rows });
    this.size = { cols, rows };
    if (this.isOpen) this.send({ type: "resize", cols, rows });
  };

  constructor(
    private readonly socket: WebSocketLike,
    life: AbortSignal,
    private size: { cols: number; rows: number },
    private readonly options: Options,
    end: () => void,
  ) {
    this.exited = this.ended.promise;
    const ignoreLife = whenAborted(life, (reason) => this.end({ reason }));
    this.forget = () => {
      ignoreLife();
      end();
    };
    socket.addEventListener("message", ({ data }) => this.receive(data));
    socket.addEventListener("close", () => this.lost("the connection was closed before the shell had ended"));
    socket.addEventListener("error", () => this.lost("the connection was lost"));
    this.readable = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.pull(controller), cancel: () => this.close() },
      { highWaterMark: 0 },
    );
    const encoder = new TextEncoder();
    this.writable = new WritableStream({
      write: (chunk) => this.write(typeof chunk === "string" ? encoder.encode(chunk) : chunk),
    });
    socket.addEventListener("open", () => this.listen());
  }

  private send(frame: ClientFrame): void {
    this.socket.send(JSON.stringify(frame));
  }

  private receive(data: unknown): void {
    if (!this.isOpen) return;
    this.listen();
    if (data instanceof ArrayBuffer) return this.print(new Uint8Array(data));
    const frame = typeof data === "string" ? serverFrame.safeParse(data) : undefined;
    if (!frame?.success) return this.lost("the server sent an invalid terminal frame", "PROTOCOL_ERROR");
    const said = frame.data;
    if (said?.type === "exit") this.end(said.code);
    if (said?.type !== "error") return;
    const { code, message } = said;
    this.lost(message, ERROR_CODES.includes(code as ErrorCode) ? (code as ErrorCode) : "RUNTIME_ERROR");
  }

  private print(bytes: Uint8Array): void {
    this.unread.push(bytes);
    this.unreadBytes += bytes.byteLength;
    this.wake();
    if (this.unreadBytes > MAX_UNREAD_BYTES) this.lost("its output was not read", "STREAM_INTERRUPTED");
    else if (this.options.flow && !this.isPaused && this.unreadBytes > PAUSE_BYTES) {
      this.isPaused = true;
      this.send({ type: "pause" });
    }
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.unread.length === 0 && this.isOpen) await this.changed.promise;
    const bytes = this.unread.shift();
    if (bytes) {
      this.unreadBytes -= bytes.byteLength;
      if (this.isOpen && this.isPaused && this.unreadBytes < RESUME_BYTES) {
        this.isPaused = false;
        this.send({ type: "resume" });
      }
      controller.enqueue(bytes);
    } else if (this.failure) controller.error(this.failure.reason);
    else controller.close();
  }

  private async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      while (this.isOpen && this.socket.bufferedAmount > MAX_UNSENT_BYTES) await pause(DRAIN_POLL_MS);
      if (this.failure) throw this.failure.reason;
      if (!this.isOpen) throw new BoxRunError("EXEC_ALREADY_FINISHED", `${this.options.what} has ended`);
      this.socket.send(bytes.slice(at, at + PIECE_BYTES));
    }
  }

  /** Restarts the silence timer. A server of this project sends keep-alives; others may have nothing to send for hours, and are queried. */
  private listen(): void {
    if (!this.isOpen) return;
    this.stopClock();
    const { silenceMs, flow, isAlive } = this.options;
    const silent = () => this.lost(`no data arrived for ${silenceMs} ms`);
    this.stopClock = startTimer(silenceMs, () => {
      if (flow) return silent();
      if (this.socket.probe) {
        this.socket.probe(() => this.listen());
        this.stopClock = startTimer(silenceMs, silent);
        return;
      }
      // Only sending something shows that the socket alone is dead.
      this.send({ type: "resize", ...this.size });
      isAlive().then(
        () => this.listen(),
        (error) => this.end({ reason: error }),
      );
    });
  }

  private lost(why: string, code: ErrorCode = "STREAM_INTERRUPTED"): void {
    const details = { retryable: code === "STREAM_INTERRUPTED" };
    this.end({ reason: new BoxRunError(code, `${this.options.what}: ${why}`, details) });
  }

  /** Ends the terminal with an exit code or an error. Only the first call counts. */
  private end(how: number | null | { reason: unknown }): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.stopClock();
    this.forget();
    if (typeof how === "object" && how !== null) {
      this.failure = how;
      this.ended.reject(how.reason);
    } else this.ended.resolve(how);
    this.wake();
    this.socket.close();
  }

  private wake(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}
