import type { BoxRunError } from "../../backend/errors.js";
import { deferred } from "../../util/deferred.js";
import { EXEC_JOINED, EXEC_STDIN, type ExitHow, type GuestFrame } from "../protocol/frame-types.js";
import { ReceiveCredit, SendCredit, WINDOW_BYTES } from "./credit.js";
import type { GuestFailure } from "./errno.js";
import type { Guest, GuestStream } from "./guest.js";
import { violation } from "./violation.js";

/** A command for the guest, with all defaults filled in. */
export interface GuestCommand {
  argv: readonly string[];
  /** Environment variables: "NAME=value". */
  env: readonly string[];
  workdir: string;
  /** Whether stdin is a pipe. False: it is empty. */
  stdin: boolean;
  /** Whether stderr goes where stdout goes. @default false */
  joined?: boolean;
  /** Size of the terminal that it runs on: input is its stdin, and its stdout is shown. */
  terminal?: { cols: number; rows: number };
}

/** Receiver of a command's output and end. Exactly one of `exit`, `failed`, `lost` is called, once, last. */
export interface ProcessEvents {
  /** Takes output. The receiver calls `release` once it has consumed the bytes. */
  output(stream: "stdout" | "stderr", bytes: Uint8Array): void;
  /** Reports the end: an exit code, or the signal that ended the command; when memory ran out, the exit code of KILL. */
  exit(how: ExitHow, value: number): void;
  /** Reports that the command could not be started. */
  failed(failure: GuestFailure): void;
  /** Reports that the guest is gone. */
  lost(error: BoxRunError): void;
}

/** A running command in the guest. */
export class GuestProcess implements GuestStream {
  readonly mayWrite = true;
  private readonly id: number;
  private readonly startedOrEnded = deferred<void>();
  private readonly stdin = new SendCredit();
  private readonly output: ReceiveCredit;
  private running = false;
  private ended = false;
  private hungUp = false;
  private writes: Promise<void> = Promise.resolve();

  constructor(
    private readonly guest: Guest,
    command: GuestCommand,
    private readonly events: ProcessEvents,
  ) {
    const { argv, env, workdir, terminal } = command;
    this.id = guest.open(this, (stream) => {
      const how = { stream, window: WINDOW_BYTES, cwd: workdir, argv, env };
      return terminal
        ? { type: "terminal", ...how, ...terminal }
        : {
            type: "exec",
            ...how,
            flags: (command.stdin ? EXEC_STDIN : 0) | (command.joined ? EXEC_JOINED : 0),
          };
    });
    this.output = new ReceiveCredit((bytes) => guest.send({ type: "credit", stream: this.id, bytes }));
  }

  /** Resolves when the command runs, or has ended without having run. */
  get started(): Promise<void> {
    return this.startedOrEnded.promise;
  }

  receive(frame: GuestFrame): void {
    switch (frame.type) {
      case "started":
        if (this.running) throw violation("started a command twice");
        this.running = true;
        return this.startedOrEnded.resolve();
      case "data": {
        const { channel, data } = frame;
        if (channel !== "stdout" && channel !== "stderr") throw violation("sent output on the wrong channel");
        this.output.use(data.byteLength);
        return this.events.output(channel, data);
      }
      case "credit":
        return this.stdin.grant(frame.bytes);
      case "exit":
        this.end();
        return this.events.exit(frame.how, frame.value);
      case "fail":
        this.end();
        return this.events.failed(frame);
      default:
        throw violation(`sent ${frame.type} for a command`);
    }
  }

  lost(error: BoxRunError): void {
    this.end();
    this.events.lost(error);
  }

  /** Reports that output was consumed: the command may print as much again. */
  release(bytes: number): void {
    if (!this.ended) this.output.release(bytes);
  }

  /** Sends a signal to the process group; KILL to the session. */
  signal(signal: number): void {
    if (!this.ended) this.guest.send({ type: "signal", stream: this.id, signal });
  }

  /** Sends TERM to the whole session, and KILL to the rest of it after the grace period. */
  terminate(graceMs: number): void {
    if (!this.ended) this.guest.send({ type: "terminate", stream: this.id, graceMs });
  }

  resize(cols: number, rows: number): void {
    if (!this.ended) this.guest.send({ type: "resize", stream: this.id, cols, rows });
  }

  /** Closes the terminal, whatever has not been sent yet. The shell gets SIGHUP, and the rest of its session KILL after a second. */
  hangUp(): void {
    if (this.ended || this.hungUp) return;
    this.hungUp = true;
    this.stdin.end();
    this.guest.send({ type: "eof", stream: this.id });
  }

  /** Resolves when all of `chunk` has been sent, or the command has ended. Calls are served in order. */
  write(chunk: Uint8Array): Promise<void> {
    this.writes = this.writes.then(() => this.guest.sendData(this.id, "stdin", this.stdin, chunk));
    return this.writes;
  }

  closeStdin(): Promise<void> {
    this.writes = this.writes.then(() => {
      if (!this.ended && !this.hungUp) this.guest.send({ type: "eof", stream: this.id });
    });
    return this.writes;
  }

  private end(): void {
    this.ended = true;
    this.startedOrEnded.resolve();
    this.stdin.end();
  }
}
