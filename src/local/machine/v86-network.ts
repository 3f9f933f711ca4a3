import { GuestInput, type VirtQueue } from "./v86-queue.js";

/** Size of the largest IP packet, and so the card's MTU. The guest posts buffers of eight pages for packets of this size. */
export const MAX_PACKET_BYTES = 32_000;
/** Limit of the packets that wait for a guest. The windows of its connections keep them far below. */
const MAX_WAITING_BYTES = 32 * 2 ** 20;
/** Limit of their number: small ones take more memory than their bytes say. */
const MAX_WAITING_PACKETS = 64 * 1024;
/** Bits of the card's features: neither side fills in checksums, since nothing between them can damage a packet. */
const FEATURE_CHECKSUMS = 0b11;
const RECEIVE_QUEUE = 0;

const ETHERNET_HEADER_BYTES = 14;
const ETHERNET_TYPE_AT = 12;
const MAC_BYTES = 6;
/** Ethernet's number of IPv4, in the order of the bytes of a frame. */
const IPV4 = [0x08, 0x00] as const;
const MIN_IP_HEADER_BYTES = 20;

/** The header that virtio puts before a frame: twelve bytes, of which these two are not zero. */
const VIRTIO_HEADER_BYTES = 12;
const FLAGS_AT = 0;
/** The checksums are known to be right. */
const DATA_VALID = 2;
const BUFFER_COUNT_AT = 10;
/** The other end's address: of the host's own making, as the second bit says. */
const HOST_MAC = [0x02, 0, 0, 0, 0, 0x01] as const;

/** The internals of v86's network card that are used here. */
export interface NetworkCard {
  /** Address of the card, which the guest may change. */
  mac: Uint8Array;
  virtio: { queues: VirtQueue[]; device_feature: Uint32Array };
}

/** The network card of a machine that has not run yet: IP packets in both directions, whatever the guest does. */
export class V86Network {
  private readonly input: GuestInput;
  private readonly header = new Uint8Array(VIRTIO_HEADER_BYTES + ETHERNET_HEADER_BYTES);

  constructor(
    private readonly card: NetworkCard,
    bus: { add_listener(event: string, listener: (frame: never) => void): void },
    onPacket: (packet: Uint8Array) => void,
  ) {
    card.virtio.device_feature[0]! |= FEATURE_CHECKSUMS;
    this.header[FLAGS_AT] = DATA_VALID;
    this.header[BUFFER_COUNT_AT] = 1;
    this.header.set(HOST_MAC, VIRTIO_HEADER_BYTES + MAC_BYTES);
    this.header.set(IPV4, VIRTIO_HEADER_BYTES + ETHERNET_TYPE_AT);
    this.input = new GuestInput(
      () => card.virtio.queues[RECEIVE_QUEUE]!,
      MAX_PACKET_BYTES,
      () => this.headerForGuest(),
    );
    bus.add_listener("net0-send", (frame: Uint8Array) => {
      const packet = packetOf(frame);
      if (packet) onPacket(packet);
    });
  }

  /** Queues IP packets for the guest, and drops what can be none. */
  send(packets: Uint8Array[]): void {
    for (const packet of packets)
      if (packet.byteLength >= MIN_IP_HEADER_BYTES && packet.byteLength <= MAX_PACKET_BYTES)
        this.input.push(packet);
    this.input.dropBeyond(MAX_WAITING_BYTES, MAX_WAITING_PACKETS);
    this.input.pump();
  }

  /** Hands over what the guest has buffers for. */
  pump(): void {
    this.input.pump();
  }

  private headerForGuest(): Uint8Array {
    this.header.set(this.card.mac.subarray(0, MAC_BYTES), VIRTIO_HEADER_BYTES);
    return this.header;
  }
}

/** Returns the IPv4 packet in an Ethernet frame of the guest, which may send any bytes. */
function packetOf(frame: Uint8Array): Uint8Array | undefined {
  const bytes = frame.byteLength - ETHERNET_HEADER_BYTES;
  if (bytes < MIN_IP_HEADER_BYTES || bytes > MAX_PACKET_BYTES) return undefined;
  if (frame[ETHERNET_TYPE_AT] !== IPV4[0] || frame[ETHERNET_TYPE_AT + 1] !== IPV4[1]) return undefined;
  return frame.subarray(ETHERNET_HEADER_BYTES);
}
