import { type TunnelFrame, tunnelFrame } from "../contract/tunnel.js";
import { whenAborted } from "../util/abort.js";
import { deferred } from "../util/deferred.js";
import { pause, startTimer } from "../util/timer.js";
import type { Connection } from "./backend.js";
import { BoxRunError, ERROR_CODES, type ErrorCode, isBoxRunError } from "./errors.js";

/** Limits of the unread bytes: at the first the other side is asked to pause, at the second to resume, and at the last the connection is given up. */
const PAUSE_BYTES = 2 ** 20;
const RESUME_BYTES = 2 ** 18;
const MAX_UNREAD_BYTES = 64 * 2 ** 20;
/** Limit of the unsent bytes, at which a writer has to wait. */
const MAX_UNSENT_BYTES = 2 ** 20;
const PIECE_BYTES = 2 ** 16;
/** Poll interval: a WebSocket does not notify when it has sent its data. */
const DRAIN_POLL_MS = 10;
const NORMAL_CLOSURE = 1000;
const INTERNAL_ERROR = 1011;

/** The part of a WebSocket that a connection uses, on either side. */
export interface ConnectionSocket {
  binaryType?: string;
  readonly bufferedAmount?: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close" | "error", listener: () => void): void;
}

/** How one side of a connection behaves. */
export interface SocketConnectionOptions {
  /** Name of the connection in errors. */
  what: string;
  /** Interval of the keep-alives that this side sends. @default none */
  keepAliveMs?: number;
  /** Silence of the other side after which the connection is given up. @default any */
  silenceMs?: number;
  /** Called once when the socket is no longer needed. */
  onEnd?: () => void;
}

/** A connection to a port of a box over a WebSocket. Both sides are alike, but that the server's says when it is open. */
export class SocketConnection implements Connection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  private readonly opening = deferred<void>();
  private readonly ending = deferred<void>();
  private readonly unread: Uint8Array[] = [];
  private unreadBytes = 0;
  private changed = deferred<void>();
  private isOpen = true;
  private hasEnded = { here: false, there: false };
  private isPausing = false;
  /** Pending while the other side takes no more. */
  private ready = Promise.resolve();
  private resume = () => {};
  private failure: unknown;
  private output: WritableStreamDefaultController | undefined;
  private stopTimers: (() => void)[] = [];
  private stopSilence = () => {};

  /** A property, so that it may be taken from the object. */
  readonly close = async (): Promise<void> => {
    this.ending.resolve();
    this.fail(new BoxRunError("CANCELED", `${this.options.what} was closed`));
  };

  constructor(
    private readonly socket: ConnectionSocket,
    private readonly options: SocketConnectionOptions,
  ) {
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.receive(data));
    socket.addEventListener("close", () => this.lost("it was closed before it had ended"));
    socket.addEventListener("error", () => this.lost("it was lost"));
    this.readable = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.pull(controller), cancel: (reason) => this.cancel(reason) },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.output = controller;
        // The stream itself waits for a write before it calls `abort`, and a write may wait for a server that never reads.
        whenAborted(controller.signal, (reason) => {
          // It errors by itself.
          this.output = undefined;
          this.fail(reason);
        });
      },
      write: (chunk) => this.write(chunk),
      close: () => {
        this.send({ type: "eof" });
        this.endSide("here");
      },
      abort: (reason) => this.fail(reason),
    });
    this.stayAlive();
    this.listen();
  }

  /** Resolves when the server's side is connected to the port; rejects when that fails. */
  get opened(): Promise<void> {
    return this.opening.promise;
  }

  get closed(): Promise<void> {
    return this.ending.promise;
  }

  /** Tells the client that this side is connected to the port. */
  open(): void {
    this.send({ type: "open" });
    this.opening.resolve();
  }

  /** Gives the connection up, and tells the other side why. */
  fail(reason: unknown): void {
    if (!this.isOpen) return;
    const known = isBoxRunError(reason) ? reason : undefined;
    const code = known?.code ?? "STREAM_INTERRUPTED";
    this.send({ type: "error", code, message: known?.message ?? "the connection was cut" });
    this.end(INTERNAL_ERROR, reason ?? new BoxRunError("CANCELED", `${this.options.what} was canceled`));
  }

  private cancel(reason: unknown): void {
    this.ending.resolve();
    this.fail(reason);
  }

  private send(frame: TunnelFrame): void {
    if (!this.isOpen) return;
    try {
      this.socket.send(JSON.stringify(frame));
    } catch {
      this.lost("it was lost");
    }
  }

  private receive(data: unknown): void {
    if (!this.isOpen) return;
    this.listen();
    if (typeof data !== "string") return this.take(data);
    const frame = tunnelFrame.safeParse(data);
    if (!frame.success) return this.lost("an invalid frame arrived", "PROTOCOL_ERROR");
    switch (frame.data?.type) {
      case "open":
        return this.opening.resolve();
      case "eof":
        this.endSide("there");
        return this.wake();
      case "pause":
        this.resume();
        this.ready = new Promise((resolve) => {
          this.resume = resolve;
        });
        return;
      case "resume":
        return this.resume();
      case "error": {
        const { code, message } = frame.data;
        const known = ERROR_CODES.includes(code as ErrorCode) ? (code as ErrorCode) : "RUNTIME_ERROR";
        return this.end(
          NORMAL_CLOSURE,
          new BoxRunError(known, message, { retryable: known === "PORT_CLOSED" }),
        );
      }
      default:
        return;
    }
  }

  private take(data: unknown): void {
    const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data;
    if (!(bytes instanceof Uint8Array)) return this.lost("an invalid frame arrived", "PROTOCOL_ERROR");
    if (this.hasEnded.there) return this.lost("data arrived after its end", "PROTOCOL_ERROR");
    // Some runtimes use the buffer of a message again.
    this.unread.push(data instanceof ArrayBuffer ? bytes : bytes.slice());
    this.unreadBytes += bytes.byteLength;
    this.wake();
    if (this.unreadBytes > MAX_UNREAD_BYTES) this.lost("the other side does not pause");
    else if (!this.isPausing && this.unreadBytes > PAUSE_BYTES) {
      this.isPausing = true;
      this.send({ type: "pause" });
    }
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.unread.length === 0 && this.isOpen && !this.hasEnded.there) await this.changed.promise;
    const bytes = this.unread.shift();
    if (!bytes) return this.hasEnded.there ? controller.close() : controller.error(this.failure);
    this.unreadBytes -= bytes.byteLength;
    if (this.isPausing && this.unreadBytes < RESUME_BYTES) {
      this.isPausing = false;
      this.send({ type: "resume" });
    }
    controller.enqueue(bytes);
  }

  private async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      await this.ready;
      while (this.isOpen && (this.socket.bufferedAmount ?? 0) > MAX_UNSENT_BYTES) await pause(DRAIN_POLL_MS);
      if (!this.isOpen) throw this.failure;
      this.socket.send(bytes.slice(at, at + PIECE_BYTES) as Uint8Array<ArrayBuffer>);
    }
  }

  private endSide(side: "here" | "there"): void {
    this.hasEnded[side] = true;
    if (this.hasEnded.here && this.hasEnded.there) this.end(NORMAL_CLOSURE);
  }

  private lost(why: string, code: ErrorCode = "STREAM_INTERRUPTED"): void {
    this.end(NORMAL_CLOSURE, new BoxRunError(code, `${this.options.what}: ${why}`));
  }

  private stayAlive(): void {
    const { keepAliveMs } = this.options;
    if (keepAliveMs === undefined) return;
    const stop = startTimer(keepAliveMs, () => {
      this.send({ type: "alive" });
      if (this.isOpen) this.stayAlive();
    });
    this.stopTimers = [stop];
  }

  private listen(): void {
    const { silenceMs } = this.options;
    if (silenceMs === undefined) return;
    this.stopSilence();
    this.stopSilence = startTimer(silenceMs, () => this.lost(`no data arrived for ${silenceMs} ms`));
  }

  private end(code: number, failure?: unknown): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.failure = failure;
    this.stopSilence();
    for (const stop of this.stopTimers) stop();
    this.resume();
    if (failure === undefined) this.ending.resolve();
    else {
      this.opening.reject(failure);
      this.ending.reject(failure);
      this.output?.error(failure);
    }
    this.wake();
    this.options.onEnd?.();
    try {
      this.socket.close(code);
    } catch {
      // It is closed already.
    }
  }

  private wake(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}
