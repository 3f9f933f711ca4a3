import { isBoxRunError, refusedPermission } from "../../backend/errors.js";
import { type FromMachine, packetCost } from "./messages.js";

/** Number of bytes of the kernel's output that are kept per slice of emulation, since a guest's root may print without end. */
const CONSOLE_BYTES = 4096;
/**
 * Limit of the output that waits for an owner which does not take it, such as a busy page. Beyond it the machine pauses. Credit does not bound it, since only
 * the owner notices a guest that exceeds its credit.
 */
const BACKLOG_BYTES = 32 * 2 ** 20;
/** Limit of the packets that wait for an owner which does not take them. Beyond it they are dropped, as a network may. */
const PACKET_BACKLOG_BYTES = 4 * 2 ** 20;

/** Sends messages to the owner of a machine. What comes within one slice of emulation leaves as one message. */
export class OwnerPort {
  private printed: number[] = [];
  private output: Uint8Array[] = [];
  private loadedBytes = 0;
  private backlogBytes = 0;
  private packets: Uint8Array[] = [];
  private packetBacklogBytes = 0;
  /** True once the owner has asked for packets. */
  wantsPackets = false;
  /** Called with true when too much output waits for the owner, and with false when it has taken enough. */
  onBacklog: (full: boolean) => void = () => {};

  constructor(readonly post: (message: FromMachine, transfer: ArrayBuffer[]) => void) {}

  /** Sends what the kernel prints. At once, and not when the machine ends: this Worker may end first. */
  print(byte: number): void {
    if (this.printed.push(byte) === 1) queueMicrotask(() => this.flushPrinted());
  }

  /** Sends bytes of the machine's port. */
  write(bytes: Uint8Array): void {
    if (this.output.push(bytes) === 1) queueMicrotask(() => this.flushOutput());
  }

  /** Sends a packet of the machine's network. */
  writePacket(packet: Uint8Array): void {
    const waiting = this.packetBacklogBytes + packetCost(packet);
    if (!this.wantsPackets || waiting > PACKET_BACKLOG_BYTES) return;
    this.packetBacklogBytes = waiting;
    if (this.packets.push(packet) === 1) queueMicrotask(() => this.flushPackets());
  }

  /** Notes that the owner has taken bytes of packets. */
  notePacketsTaken(bytes: number): void {
    this.packetBacklogBytes -= bytes;
  }

  /** Reports bytes of assets that have been loaded. */
  noteLoaded(count: number): void {
    if (this.loadedBytes === 0) {
      queueMicrotask(() => {
        this.post({ type: "loaded", bytes: this.loadedBytes }, []);
        this.loadedBytes = 0;
      });
    }
    this.loadedBytes += count;
  }

  /** Notes that the owner has taken bytes of the port. */
  noteTaken(bytes: number): void {
    this.backlogBytes -= bytes;
    if (this.backlogBytes <= BACKLOG_BYTES) this.onBacklog(false);
  }

  /** Reports the end of the machine. */
  end(code: string, message: string, retryable = false): void {
    this.flushPrinted();
    this.post({ type: "ended", code, message, retryable }, []);
  }

  /** Reports the end of the machine by an error. */
  fail(thrown: unknown): void {
    const error = refusedPermission(thrown) ?? thrown;
    if (isBoxRunError(error)) this.end(error.code, error.message, error.retryable);
    else this.end("RUNTIME_ERROR", `the machine failed: ${messageOf(error)}`);
  }

  private flushPrinted(): void {
    if (this.printed.length > 0)
      this.post({ type: "console", bytes: new Uint8Array(this.printed.slice(-CONSOLE_BYTES)) }, []);
    this.printed = [];
  }

  private flushPackets(): void {
    const { packets } = this;
    this.packets = [];
    this.post(
      { type: "packets", packets },
      packets.map((packet) => packet.buffer as ArrayBuffer),
    );
  }

  private flushOutput(): void {
    const chunks = this.output;
    this.output = [];
    for (const { byteLength } of chunks) this.backlogBytes += byteLength;
    if (this.backlogBytes > BACKLOG_BYTES) this.onBacklog(true);
    this.post(
      chunks,
      chunks.map((chunk) => chunk.buffer as ArrayBuffer),
    );
  }
}

/** Returns the message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
