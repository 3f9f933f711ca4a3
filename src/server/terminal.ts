import type { Backend, Terminal, TerminalSpec } from "../backend/backend.js";
import { isBoxRunError } from "../backend/errors.js";
import { clientFrame, type ServerFrame } from "../contract/attach.js";
import { untilAborted, whenAborted } from "../util/abort.js";
import { pause, startTimer } from "../util/timer.js";

/** The part of an accepted WebSocket that the server uses. Those of ws, Deno, Bun and workerd have it. Members are those of the WHATWG WebSockets Standard. */
export interface ServerSocket {
  /** Type of binary messages; set to "arraybuffer". */
  binaryType?: string;
  /** Number of bytes that wait to be sent. */
  readonly bufferedAmount?: number;
  /** Sends a message of text or bytes. */
  send(data: string | Uint8Array): void;
  /** Closes the connection. */
  close(code?: number, reason?: string): void;
  /** Calls `listener` for each message, or when the connection is closed or lost. */
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close" | "error", listener: () => void): void;
}

/** Limit of the bytes that may wait, in either direction. */
const MAX_WAITING_BYTES = 2 ** 20;
/** Poll interval: a WebSocket does not notify when it has sent its data. */
const DRAIN_POLL_MS = 10;
const NORMAL_CLOSURE = 1000;
const INTERNAL_ERROR = 1011;

/**
 * Connects a socket to a new terminal of a box until one of them ends. With `flow`, the client can pause the output, and gets a keep-alive message at
 * intervals.
 */
export async function serveTerminal(
  backend: Backend,
  { boxId, spec }: { boxId: () => Promise<string>; spec: TerminalSpec },
  socket: ServerSocket,
  { flow, keepAliveMs }: { flow: boolean; keepAliveMs: number },
): Promise<void> {
  const life = new AbortController();
  const inlet = new Inlet();
  const send = (frame: ServerFrame) => socket.send(JSON.stringify(frame));
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => inlet.take(data));
  socket.addEventListener("close", () => life.abort(new Error("the client disconnected")));
  socket.addEventListener("error", () => life.abort(new Error("the connection was lost")));
  let stopAlive = () => {};
  const stayAlive = () => {
    stopAlive = startTimer(keepAliveMs, () => {
      if (life.signal.aborted) return;
      send({ type: "alive" });
      stayAlive();
    });
  };
  let terminal: Terminal | undefined;
  try {
    if (flow) stayAlive();
    terminal = await backend.attach(await boxId(), spec, { signal: life.signal });
    life.signal.throwIfAborted();
    inlet.open(terminal, (error) => life.abort(error));
    const exited = terminal.exited;
    exited.catch(() => {});
    await sendAll(terminal.readable, socket, inlet, life.signal);
    send({ type: "exit", code: await exited });
    socket.close(NORMAL_CLOSURE);
  } catch (error) {
    await terminal?.close().catch(() => {});
    try {
      const known = isBoxRunError(error) ? error : undefined;
      send({
        type: "error",
        code: known?.code ?? "RUNTIME_ERROR",
        message: known?.message ?? "the terminal failed",
      });
      socket.close(INTERNAL_ERROR);
    } catch {
      // It is closed already: there is nobody to tell.
    }
  } finally {
    stopAlive();
    inlet.close();
  }
}

/** Handles the messages of a client: terminal input, sizes, and requests to pause or go on. */
class Inlet {
  /** Pending while the client has paused the output. */
  ready = Promise.resolve();
  private resume = () => {};
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private size: { cols: number; rows: number } | undefined;
  private terminal: Terminal | undefined;
  private fail: (error: Error) => void = () => {};
  private wake = () => {};
  private closed = false;

  open(terminal: Terminal, fail: (error: Error) => void): void {
    this.terminal = terminal;
    this.fail = fail;
    if (this.size) terminal.resize(this.size.cols, this.size.rows);
    this.write(terminal).catch(() => {
      // The shell has ended, as its `exited` says.
    });
  }

  take(data: unknown): void {
    if (this.closed) return;
    if (typeof data === "string") return this.obey(data);
    const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data;
    if (!(bytes instanceof Uint8Array) || bytes.byteLength === 0) return;
    this.waitingBytes += bytes.byteLength;
    if (this.waitingBytes > MAX_WAITING_BYTES) {
      this.close();
      return this.fail(new Error("the shell does not read its input"));
    }
    this.waiting.push(bytes.slice());
    this.wake();
  }

  close(): void {
    this.closed = true;
    this.waiting = [];
    this.resume();
    this.wake();
  }

  private obey(text: string): void {
    const frame = clientFrame.safeParse(text);
    // Frames of newer clients mean nothing here.
    if (!frame.data) return;
    const { data } = frame;
    if (data.type === "resize") {
      this.size = data;
      this.terminal?.resize(data.cols, data.rows);
    } else if (data.type === "pause") {
      this.resume();
      this.ready = new Promise((resolve) => {
        this.resume = resolve;
      });
    } else this.resume();
  }

  private async write(terminal: Terminal): Promise<void> {
    const writer = terminal.writable.getWriter();
    while (!this.closed) {
      const bytes = this.waiting.shift();
      if (!bytes) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
        continue;
      }
      await writer.write(bytes);
      this.waitingBytes -= bytes.byteLength;
    }
  }
}

/** Sends the output of a terminal, at the pace of the connection and of the client. */
async function sendAll(
  readable: ReadableStream<Uint8Array>,
  socket: ServerSocket,
  inlet: Inlet,
  signal: AbortSignal,
): Promise<void> {
  const reader = readable.getReader();
  const ignoreSignal = whenAborted(signal, (reason) => void reader.cancel(reason).catch(() => {}));
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return;
      socket.send(value);
      await untilAborted(inlet.ready, signal);
      while ((socket.bufferedAmount ?? 0) > MAX_WAITING_BYTES) await pause(DRAIN_POLL_MS, signal);
    }
  } finally {
    ignoreSignal();
  }
}
