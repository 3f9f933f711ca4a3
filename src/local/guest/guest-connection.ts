import type { Connection } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";
import { whenAborted, whenStreamAborted } from "../../util/abort.js";
import { deferred } from "../../util/deferred.js";
import type { GuestFrame } from "../protocol/frame-types.js";
import { ByteQueue } from "./byte-queue.js";
import { ReceiveCredit, SendCredit, WINDOW_BYTES } from "./credit.js";
import { connectionError } from "./errno.js";
import type { Guest, GuestStream } from "./guest.js";
import { violation } from "./violation.js";

/** Keeps the process alive while work is pending. */
type Hold = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Connects to a server in the guest. Rejects with PORT_CLOSED when nothing listens on the port, with the signal's reason, and with the loss of the guest.
 */
export async function connectInGuest(
  guest: Guest,
  hold: Hold,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  signal?.throwIfAborted();
  const connection = new GuestConnection(guest, hold, port);
  const ignoreSignal = whenAborted(signal, (reason) => connection.reset(reason));
  try {
    await hold(() => connection.started.promise);
    return connection;
  } finally {
    ignoreSignal();
  }
}

/** A TCP connection to a server in the guest. Each direction is under credit: a side that does not read holds up the other alone. */
class GuestConnection implements GuestStream, Connection {
  readonly mayWrite = true;
  readonly started = deferred<void>();
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  private readonly id: number;
  private readonly ended = deferred<void>();
  private readonly sending = new SendCredit();
  private readonly receiving: ReceiveCredit;
  private readonly received = new ByteQueue();
  /** Settled when there is something for the reader. */
  private changed = deferred<void>();
  private open = true;
  /** Keeps the process alive; undefined while nobody has asked for the end. */
  private watched: Promise<void> | undefined;
  private hasStarted = false;
  private hasEnded = false;
  private failure: unknown;
  private output: WritableStreamDefaultController | undefined;

  /** A property, so that it may be taken from the object. */
  readonly close = async (): Promise<void> => {
    this.ended.resolve();
    this.reset(new BoxRunError("CANCELED", `the connection to port ${this.port} was closed`));
  };

  constructor(
    private readonly guest: Guest,
    private readonly hold: Hold,
    private readonly port: number,
  ) {
    this.ended.promise.catch(() => {});
    this.id = guest.open(this, (stream) => ({ type: "connect", stream, window: WINDOW_BYTES, port }));
    this.receiving = new ReceiveCredit((bytes) => guest.send({ type: "credit", stream: this.id, bytes }));
    this.readable = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.pull(controller), cancel: (reason) => this.cancel(reason) },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.output = controller;
        whenStreamAborted(controller, (reason) => {
          // It errors by itself.
          this.output = undefined;
          this.reset(reason);
        });
      },
      write: (chunk) => this.write(chunk),
      close: () => {
        if (this.open) guest.send({ type: "eof", stream: this.id });
      },
      abort: (reason) => this.reset(reason),
    });
  }

  get closed(): Promise<void> {
    // Whoever asks will wait for it.
    this.watched ??= this.hold(() => this.ended.promise).catch(() => {});
    return this.ended.promise;
  }

  receive(frame: GuestFrame): void {
    if (!this.hasStarted && frame.type !== "started" && frame.type !== "fail")
      throw violation(`sent ${frame.type} for a connection that is not there yet`);
    switch (frame.type) {
      case "started":
        if (this.hasStarted) throw violation("started a connection twice");
        this.hasStarted = true;
        return this.started.resolve();
      case "data":
        if (frame.channel !== "stdout") throw violation("sent data of a connection on the wrong channel");
        this.receiving.use(frame.data.byteLength);
        // Data of a connection that was reset may still arrive.
        if (!this.open) return;
        this.received.push(frame.data);
        return this.wake();
      case "credit":
        return this.sending.grant(frame.bytes);
      case "eof":
        if (this.hasEnded) throw violation("ended a connection twice");
        this.hasEnded = true;
        return this.wake();
      case "done":
        if (!this.hasEnded) throw violation("closed a connection without its end");
        return this.end();
      case "fail":
        return this.end(connectionError(this.port, frame));
      default:
        throw violation(`sent ${frame.type} for a connection`);
    }
  }

  lost(error: BoxRunError): void {
    this.end(error);
  }

  /** Resets the connection: the server must not take what is cut off for complete. */
  reset(reason: unknown): void {
    if (!this.open) return;
    this.guest.send({ type: "abort", stream: this.id });
    this.received.clear();
    this.end(reason ?? new BoxRunError("CANCELED", `the connection to port ${this.port} was canceled`));
  }

  private cancel(reason: unknown): void {
    this.ended.resolve();
    this.reset(reason);
  }

  private async write(chunk: Uint8Array): Promise<void> {
    await this.hold(() => this.guest.sendData(this.id, "stdin", this.sending, chunk));
    if (this.failure !== undefined) throw this.failure;
  }

  private async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.received.isEmpty && this.open && !this.hasEnded) await this.hold(() => this.untilReadable());
    const bytes = this.received.shift();
    if (bytes) {
      if (this.open) this.receiving.release(bytes.byteLength);
      controller.enqueue(bytes);
    } else if (this.hasEnded) controller.close();
    else controller.error(this.failure);
  }

  private async untilReadable(): Promise<void> {
    while (this.received.isEmpty && this.open && !this.hasEnded) await this.changed.promise;
  }

  /** Settles everything that waits. What has arrived before a failure can still be read. */
  private end(failure?: unknown): void {
    this.open = false;
    this.failure = failure;
    if (failure === undefined) this.ended.resolve();
    else {
      this.started.reject(failure);
      this.ended.reject(failure);
      this.output?.error(failure);
    }
    this.sending.end();
    this.wake();
  }

  private wake(): void {
    const { resolve } = this.changed;
    this.changed = deferred();
    resolve();
  }
}
