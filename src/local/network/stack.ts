import type { Dialer } from "../../network/dialer.js";
import {
  formatAddress,
  type Ipv4Packet,
  isEchoRequest,
  LINK,
  makeEchoReply,
  makeUdp,
  makeUnreachable,
  PROTOCOL,
  readIpv4,
  readUdp,
  UNREACHABLE,
} from "./ipv4.js";
import { NameServer } from "./name-server.js";
import { connectionKey, TcpConnection, type TcpOwner } from "./tcp-connection.js";
import { ACK, type Ends, makeTcp, RST, readTcp, SYN, type TcpSegment } from "./tcp-segment.js";

const DNS_PORT = 53;
const TICK_MS = 1000;
/** Limit of the connections that a guest has at once. More are refused. */
const MAX_CONNECTIONS = 1024;
/** Buffer of each direction of a connection, and of those beyond the first {@link FULL_BUFFERS}. */
const BUFFER_BYTES = 256 * 1024;
const FULL_BUFFERS = 128;
const SMALL_BUFFER_BYTES = 64 * 1024;
/** Limit of the names that are looked up at once. */
const MAX_QUERIES = 256;

/** The surroundings of a {@link NetworkStack}. */
export interface StackOptions {
  /** Way out for connections. */
  dialer: Dialer;
  /** Sends IP packets to the guest. */
  transmit(packets: Uint8Array[]): void;
  /** Starts a timer on the guest's clock, and returns a function that stops it. */
  startTimer(ms: number, onElapsed: () => void): () => void;
}

/**
 * The network behind a guest's interface: it takes the guest's IP packets, ends its TCP connections, and passes their bytes on to a dialer. It answers names itself. What the guest sends
 * is untrusted: a packet that makes no sense is dropped.
 */
export class NetworkStack implements TcpOwner {
  private readonly connections = new Map<string, TcpConnection>();
  private readonly names: NameServer;
  private readonly touched = new Set<TcpConnection>();
  private outgoing: Uint8Array[] = [];
  private flushing = false;
  private queries = 0;
  private stopTimer: (() => void) | undefined;
  private readonly closing = new AbortController();

  constructor(private readonly options: StackOptions) {
    this.names = new NameServer(options.dialer, this.closing.signal);
  }

  /** Takes IP packets from the guest. */
  receive(packets: readonly Uint8Array[]): void {
    if (this.closing.signal.aborted) return;
    for (const bytes of packets) {
      const packet = readIpv4(bytes);
      if (packet?.source === LINK.guest) this.route(packet);
    }
    this.flush();
  }

  /** Cuts all connections, and takes no more packets. */
  close(): void {
    this.closing.abort(new Error("the box has ended"));
    this.stopTimer?.();
    for (const connection of [...this.connections.values()]) connection.drop("the box has ended");
    this.outgoing = [];
    this.touched.clear();
  }

  send(packet: Uint8Array): void {
    this.outgoing.push(packet);
    this.scheduleFlush();
  }

  touch(connection: TcpConnection): void {
    this.touched.add(connection);
    this.scheduleFlush();
  }

  forget(connection: TcpConnection): void {
    if (this.connections.get(connection.key) === connection) this.connections.delete(connection.key);
    this.touched.delete(connection);
  }

  private scheduleFlush(): void {
    if (this.flushing) return;
    this.flushing = true;
    queueMicrotask(() => this.flush());
  }

  private flush(): void {
    for (const connection of this.touched) connection.settle();
    this.touched.clear();
    this.flushing = false;
    if (this.outgoing.length === 0 || this.closing.signal.aborted) return;
    const packets = this.outgoing;
    this.outgoing = [];
    this.options.transmit(packets);
  }

  private route(packet: Ipv4Packet): void {
    if (packet.protocol === PROTOCOL.tcp) return this.receiveTcp(packet);
    if (packet.protocol === PROTOCOL.udp) return this.receiveUdp(packet);
    if (!isEchoRequest(packet)) return;
    // Only for what is there: nothing here knows whether another host lives.
    const isOurs = packet.target === LINK.gateway || packet.target === LINK.nameServer;
    this.send(isOurs ? makeEchoReply(packet) : makeUnreachable(packet, UNREACHABLE.prohibited));
  }

  private receiveTcp(packet: Ipv4Packet): void {
    const segment = readTcp(packet.payload);
    if (!segment) return;
    const { source, target } = packet;
    const { sourcePort, targetPort } = segment;
    const ends: Ends = { source, sourcePort, target, targetPort };
    const known = this.connections.get(connectionKey(ends));
    if (known && !known.isSucceededBy(segment)) return known.receive(segment);
    known?.drop("the program in the box has begun another connection");
    if (segment.flags & RST) return;
    if (segment.flags & SYN && !(segment.flags & ACK) && this.connections.size < MAX_CONNECTIONS)
      return this.open(ends, segment, packet);
    this.refuse(ends, segment);
  }

  private open(ends: Ends, syn: TcpSegment, packet: Ipv4Packet): void {
    const bufferBytes = this.connections.size < FULL_BUFFERS ? BUFFER_BYTES : SMALL_BUFFER_BYTES;
    const { target, targetPort: port } = ends;
    const dial = async (signal: AbortSignal) => {
      if (port === DNS_PORT) return this.names.connect();
      const host = this.names.nameOf(target) ?? formatAddress(target);
      return this.options.dialer.connect({ host, port }, { signal });
    };
    const connection = new TcpConnection(ends, syn, packet, this, bufferBytes, dial);
    this.connections.set(connection.key, connection);
    this.startTicking();
  }

  /** Answers a segment of a connection that does not exist. */
  private refuse(ends: Ends, { flags, sequence, acknowledged, data }: TcpSegment): void {
    const hasAck = (flags & ACK) !== 0;
    const fields = {
      flags: hasAck ? RST : RST | ACK,
      sequence: hasAck ? acknowledged : 0,
      acknowledged: (sequence + data.byteLength + (flags & SYN ? 1 : 0)) >>> 0,
      window: 0,
    };
    this.send(makeTcp(ends, fields).packet);
  }

  private receiveUdp(packet: Ipv4Packet): void {
    const datagram = readUdp(packet.payload);
    if (!datagram) return;
    if (datagram.targetPort !== DNS_PORT) return this.send(makeUnreachable(packet, UNREACHABLE.port));
    // The guest's resolver asks again when it gets no answer.
    if (this.queries >= MAX_QUERIES) return;
    this.queries++;
    void this.names
      .answer(datagram.data)
      .then((answer) => {
        if (!answer || this.closing.signal.aborted) return;
        const { sourcePort } = datagram;
        this.send(makeUdp(packet.target, DNS_PORT, packet.source, sourcePort, answer));
      })
      .finally(() => this.queries--);
  }

  private startTicking(): void {
    this.stopTimer ??= this.options.startTimer(TICK_MS, () => {
      this.stopTimer = undefined;
      for (const connection of [...this.connections.values()]) connection.tick();
      if (this.connections.size > 0) this.startTicking();
    });
  }
}
