import {
  BoxRunError,
  ERROR_CODES,
  type ErrorCode,
  isBoxRunError,
  refusedPermission,
} from "../../backend/errors.js";
import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import type { ImageTrouble } from "../assets/image-chunks.js";
import type { DiskConfig, FromMachine, MachineConfig } from "../machine/messages.js";
import type { Host, MachineWorker } from "./host.js";

/** From the start of a Worker to a running machine: a cold boot on a slow, busy host included. */
const START_DEADLINE_MS = 120_000;

/** To close the disk; an emulator that is busy comes to it between two slices. */
const STOP_DEADLINE_MS = 30_000;

/** Of what the guest's kernel printed last, for the message when the machine ends. */
const CONSOLE_CHARACTERS = 4096;
const CONSOLE_LINES = 20;

/** Of output: so seldom the machine is told that it was taken. */
const TOOK_STEP_BYTES = 2 ** 20;

/** What the owner of a machine hears from it. */
export interface MachineHandlers {
  /** Bytes from the agent. What it throws ends the machine. */
  onOutput(bytes: Uint8Array): void;
  /** So many compressed bytes of assets have come. */
  onLoaded(bytes: number): void;
  /** Assets are there and the machine starts. */
  onStarting(): void;
  /** The machine goes on after standing still by itself: its guest's date is behind. */
  onResumed(): void;
  /** Tells that the guest cannot read part of the image, or can again. */
  onTrouble(trouble: ImageTrouble): void;
  /** The machine has ended, and not because it was asked to. Called once. */
  onEnded(error: BoxRunError): void;
}

/** How a machine came up. */
interface Started {
  boot: "snapshot" | "cold";
  warnings: string[];
}

const NO_WORKER: MachineWorker = { post: () => {}, terminate: async () => {}, hold: () => {} };

/** A machine in its Worker, seen from the caller's thread. It owns the Worker. */
export class MachineHandle {
  private readonly worker: MachineWorker;
  private readonly started = deferred<Started>();
  private starting: Promise<Started> | undefined;
  private hasDisk = false;
  private moved: Deferred<void> | undefined;
  private saved: Deferred<Uint8Array> | undefined;
  private stopped: Deferred<Uint8Array | null> | undefined;
  private terminated: Promise<void> | undefined;
  private over = false;
  private takenBytes = 0;
  private readonly decoder = new TextDecoder();
  private console = "";

  constructor(
    host: Host,
    private readonly handlers: MachineHandlers,
  ) {
    const fail = (cause: Error) =>
      this.end(
        refusedPermission(cause) ??
          new BoxRunError("RUNTIME_ERROR", `the machine's Worker failed: ${cause.message}`, { cause }),
      );
    try {
      this.worker = host.startWorker((message) => this.receive(message), fail);
    } catch (cause) {
      // As one that fails a moment later: whoever makes the box has its lock and record to give back.
      this.worker = NO_WORKER;
      queueMicrotask(() => fail(cause as Error));
    }
  }

  /** Starts the machine, or waits for one that was started so before. Rejects, with the machine gone, when it cannot. */
  start(config: MachineConfig, emulator: Promise<WebAssembly.Module>): Promise<Started> {
    this.starting ??= this.bringUp(config, emulator);
    return this.starting;
  }

  private bringUp(config: MachineConfig, emulator: Promise<WebAssembly.Module>): Promise<Started> {
    this.worker.post({ type: "start", config });
    emulator.then(
      (module) => this.over || this.worker.post({ type: "emulator", module }),
      (error) => this.end(error),
    );
    const stop = startTimer(START_DEADLINE_MS, () =>
      this.end(new BoxRunError("RUNTIME_ERROR", `the machine did not start within ${START_DEADLINE_MS} ms`)),
    );
    return this.started.promise.finally(stop);
  }

  /**
   * Where the disk is: the machine waits for it. Given again it replaces the one in memory that the machine began with: all that is there is copied, and the promise
   * resolves once it is stored.
   */
  async giveDisk(disk: DiskConfig): Promise<void> {
    // One that is still on its way has nothing to move yet.
    if (this.hasDisk || this.over) await this.started.promise;
    if (this.over) throw stoppedError();
    this.worker.post({ type: this.hasDisk ? "move" : "disk", ...disk });
    if (!this.hasDisk) {
      this.hasDisk = true;
      return;
    }
    this.moved = deferred();
    await this.moved.promise;
  }

  /** Ends the machine of a guest that has been shut down. Resolves to the contents of a disk in memory. */
  async stop(): Promise<Uint8Array | null> {
    this.stopped = deferred();
    this.worker.post({ type: "stop" });
    const late = deferred<never>();
    const stop = startTimer(STOP_DEADLINE_MS, () =>
      late.reject(new BoxRunError("RUNTIME_ERROR", `the machine did not stop within ${STOP_DEADLINE_MS} ms`)),
    );
    return Promise.race([this.stopped.promise, late.promise]).finally(stop);
  }

  send(bytes: Uint8Array): void {
    if (!this.over) this.worker.post(bytes, [bytes.buffer as ArrayBuffer]);
  }

  /** The machine as it is now, as the bytes of a snapshot: for boxes that begin with its disk, or for any. */
  save(options: { withDisk: boolean }): Promise<Uint8Array> {
    this.saved = deferred();
    this.worker.post({ type: "save", ...options });
    return this.saved.promise;
  }

  /** Makes it stand still; `false`: lets it go on. */
  pause(paused: boolean): void {
    if (!this.over) this.worker.post({ type: paused ? "pause" : "resume" });
  }

  hold(held: boolean): void {
    if (!this.over) this.worker.hold(held);
  }

  /** Ends the Worker at once, and resolves when it is gone: nothing writes to the disk any more. Idempotent. */
  kill(): Promise<void> {
    this.terminated ??= this.terminate();
    return this.terminated;
  }

  private terminate(): Promise<void> {
    this.over = true;
    const gone = this.worker.terminate();
    const error = stoppedError();
    this.started.reject(error);
    this.moved?.reject(error);
    this.saved?.reject(error);
    this.stopped?.reject(error);
    return gone;
  }

  /** The machine is of no more use: ends it and tells the owner why, with what its kernel said last. */
  end(why: BoxRunError): void {
    if (this.over) return;
    const error = withConsole(why, this.console);
    this.started.reject(error);
    this.moved?.reject(error);
    this.saved?.reject(error);
    this.stopped?.reject(error);
    void this.kill();
    this.handlers.onEnded(error);
  }

  private receive(message: FromMachine): void {
    if (this.over) return;
    if (Array.isArray(message)) return this.receiveOutput(message);
    switch (message.type) {
      case "loaded":
        return this.handlers.onLoaded(message.bytes);
      case "starting":
        return this.handlers.onStarting();
      case "started":
        return this.started.resolve(message);
      case "moved":
        return this.moved?.resolve();
      case "saved":
        return this.saved?.resolve(message.snapshot);
      case "stopped":
        return this.stopped?.resolve(message.contents);
      case "console":
        this.console += this.decoder.decode(message.bytes, { stream: true });
        this.console = this.console.slice(-CONSOLE_CHARACTERS);
        return;
      case "resumed":
        return this.handlers.onResumed();
      case "trouble":
        return this.handlers.onTrouble(message.trouble);
      case "ended": {
        const code =
          ERROR_CODES.find((known) => known === message.code) ?? ("RUNTIME_ERROR" satisfies ErrorCode);
        const { retryable } = message;
        return this.end(new BoxRunError(code, message.message, { retryable }));
      }
    }
  }

  private receiveOutput(chunks: Uint8Array[]): void {
    for (const { byteLength } of chunks) this.takenBytes += byteLength;
    try {
      for (const chunk of chunks) this.handlers.onOutput(chunk);
      if (this.takenBytes < TOOK_STEP_BYTES || this.over) return;
      this.worker.post({ type: "took", bytes: this.takenBytes });
      this.takenBytes = 0;
    } catch (cause) {
      if (isBoxRunError(cause)) return this.end(cause);
      const why = cause instanceof Error ? cause.message : String(cause);
      this.end(
        new BoxRunError("PROTOCOL_ERROR", `the guest broke the protocol and was ended: ${why}`, {
          cause,
        }),
      );
    }
  }
}

function withConsole(error: BoxRunError, console: string): BoxRunError {
  const lines = console.trim().split("\n").slice(-CONSOLE_LINES);
  if (console.trim() === "") return error;
  const { code, message, retryable, cause } = error;
  return new BoxRunError(code, `${message}. Its console said last:\n${lines.join("\n")}`, {
    retryable,
    cause,
  });
}

function stoppedError(): BoxRunError {
  return new BoxRunError("BOX_NOT_RUNNING", "the machine was stopped");
}
