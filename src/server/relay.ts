import type { NetworkOptions } from "../backend/backend.js";
import { parseAddress } from "../network/addresses.js";
import type { ConnectionLimits } from "../network/connection-limits.js";
import type { Dialer } from "../network/dialer.js";
import { asciiName } from "../network/names.js";
import { PolicyDialer } from "../network/policy-dialer.js";
import {
  closePacket,
  continuePacket,
  infoPacket,
  REASON,
  readPacket,
  reasonOf,
  type WispPacket,
} from "../network/wisp.js";
import { deferred } from "../util/deferred.js";
import { pause } from "../util/timer.js";
import { BUFFER_PACKETS, RelayStream, type StreamClient } from "./relay-stream.js";
import type { ServerSocket } from "./terminal.js";
import { UnsentPackets } from "./unsent-packets.js";

/** Connections of one client. */
const LIMITS: ConnectionLimits = { open: 256, perSecond: 50, burst: 200 };
/** Number of clients that may be connected. */
const MAX_CLIENTS = 64;
/** Bytes of a client that may wait for the far sides of all its streams. */
const MAX_HELD_BYTES = 32 * 2 ** 20;
/** Largest window that a client may grant a stream. */
const MAX_WINDOW_BYTES = 64 * 2 ** 20;
/** Limits of what waits to be sent to a client, at which streams have to wait. A packet costs some 400 bytes of memory beside its own. */
const MAX_OUTPUT_BYTES = 2 ** 20;
const MAX_OUTPUT_PACKETS = 4096;
/** Limits of what nothing holds back: answers to a client that asks and does not read. Such a client is closed. */
const MAX_UNREAD_BYTES = 4 * MAX_OUTPUT_BYTES;
const MAX_UNREAD_PACKETS = 4 * MAX_OUTPUT_PACKETS;
/** Poll interval: a WebSocket does not notify when it has sent its data. */
const DRAIN_POLL_MS = 10;
const PROTOCOL_ERROR = 1002;
const TRY_LATER = 1013;

/** A relay that speaks Wisp: makes TCP connections for pages, within rules. */
export class Relay {
  private clients = 0;

  /** Creates a relay. `dialer` makes the connections that the rules allow. */
  constructor(
    private readonly dialer: Dialer,
    private readonly rules: NetworkOptions,
  ) {}

  /** Serves a client until its WebSocket is closed. Never rejects. */
  async serve(socket: ServerSocket): Promise<void> {
    if (this.clients >= MAX_CLIENTS) return socket.close(TRY_LATER, `more than ${MAX_CLIENTS} clients`);
    this.clients++;
    try {
      await new Client(socket, new PolicyDialer(this.dialer, this.rules, { limits: LIMITS })).closed;
    } finally {
      this.clients--;
    }
  }
}

/** A client, and its streams. */
class Client implements StreamClient {
  windowBytes: number | undefined;
  private readonly ending = deferred<void>();
  private readonly streams = new Map<number, RelayStream>();
  /** Streams that their client has closed. */
  private readonly leaving = new Set<RelayStream>();
  private readonly unsent = new UnsentPackets();
  private heldBytes = 0;
  private isOpen = true;

  constructor(
    private readonly socket: ServerSocket,
    private readonly dialer: Dialer,
  ) {
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.receive(data));
    socket.addEventListener("close", () => this.end());
    socket.addEventListener("error", () => this.end());
    this.send(continuePacket(0, BUFFER_PACKETS));
    this.send(infoPacket(0));
  }

  /** Resolves when the client is gone, and its connections are cut. */
  get closed(): Promise<void> {
    return this.ending.promise;
  }

  send(packet: Uint8Array<ArrayBuffer>): void {
    if (!this.isOpen) return;
    try {
      this.socket.send(packet);
    } catch {
      return this.end();
    }
    this.unsent.add(packet.byteLength);
    if (this.hasUnsent(MAX_UNREAD_BYTES, MAX_UNREAD_PACKETS)) this.refuse("the client does not read");
  }

  get isFull(): boolean {
    return this.isOpen && this.hasUnsent(MAX_OUTPUT_BYTES, MAX_OUTPUT_PACKETS);
  }

  async drained(): Promise<void> {
    while (this.isFull) await pause(DRAIN_POLL_MS);
  }

  hold(bytes: number): boolean {
    this.heldBytes += bytes;
    return this.heldBytes <= MAX_HELD_BYTES;
  }

  leave(id: number, stream: RelayStream): void {
    this.streams.delete(id);
    this.leaving.add(stream);
  }

  forget(id: number, stream: RelayStream): void {
    // The number may be one of another stream by now.
    if (!this.leaving.delete(stream)) this.streams.delete(id);
  }

  /** Returns whether more than this waits to be sent. */
  private hasUnsent(bytes: number, packets: number): boolean {
    const waitingBytes = this.socket.bufferedAmount ?? 0;
    return waitingBytes > bytes || this.unsent.count(waitingBytes) > packets;
  }

  private receive(data: unknown): void {
    if (!this.isOpen) return;
    const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data;
    if (!(bytes instanceof Uint8Array)) return this.refuse("text");
    try {
      this.obey(readPacket(bytes));
    } catch (error) {
      this.refuse((error as Error).message);
    }
  }

  private obey(packet: WispPacket): void {
    const stream = this.streams.get(packet.stream);
    switch (packet.type) {
      case "connect":
        return this.connect(packet);
      case "data":
        // A stream that has ended here is not known to its client to have yet.
        return stream?.take(packet.bytes);
      case "continue":
        if (this.windowBytes !== undefined) stream?.grant(Math.min(packet.count, MAX_WINDOW_BYTES));
        return;
      case "close":
        if (packet.stream === 0) return this.refuse("the client has ended");
        return stream?.closed(packet.reason);
      case "info":
        return this.extend(packet.windowBytes);
      default:
        return;
    }
  }

  private extend(windowBytes: number | undefined): void {
    if (windowBytes === undefined || this.windowBytes !== undefined) return;
    this.windowBytes = Math.min(windowBytes, MAX_WINDOW_BYTES);
    for (const stream of this.streams.values()) stream.count(this.windowBytes);
  }

  private connect({ stream: id, isTcp, host, port }: Extract<WispPacket, { type: "connect" }>): void {
    const name = parseAddress(host) ? host : asciiName(host);
    if (id === 0 || this.streams.has(id)) throw new Error(`a CONNECT for stream ${id}, which is not free`);
    if (!isTcp || port === 0 || name === undefined) return this.send(closePacket(id, REASON.invalid));
    if (this.streams.size >= LIMITS.open) return this.send(closePacket(id, REASON.throttled));
    const stream = new RelayStream(this, id);
    this.streams.set(id, stream);
    this.dialer.connect({ host: name, port }, { signal: stream.signal }).then(
      (connection) => stream.join(connection),
      (error: { code?: unknown }) => stream.end(reasonOf(error?.code)),
    );
  }

  private refuse(why: string): void {
    if (!this.isOpen) return;
    this.end();
    this.socket.close(PROTOCOL_ERROR, why.slice(0, 100));
  }

  private end(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const stream of [...this.streams.values(), ...this.leaving]) stream.cut();
    this.ending.resolve();
  }
}
