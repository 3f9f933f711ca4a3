import { expect, it } from "vitest";
import { V86Network } from "../../../src/local/machine/v86-network.js";

const MAC = [0, 34, 21, 1, 2, 3];
const packetOf = (bytes: number, first = 0x45) => new Uint8Array(bytes).fill(first, 0, 1);

/** A network card that the test plays: how many buffers the guest has posted, and what came in them. */
function playedCard() {
  const taken: Uint8Array[] = [];
  const arrived: Uint8Array[] = [];
  let send!: (frame: Uint8Array) => void;
  const guest = { buffers: 0, configured: true };
  const queue = {
    is_configured: () => guest.configured,
    has_request: () => guest.buffers > 0,
    pop_request: () => {
      guest.buffers--;
      const parts: Uint8Array[] = [];
      return { parts, set_next_blob: (bytes: Uint8Array) => void parts.push(bytes.slice()) };
    },
    push_reply: (buffer: object) => {
      taken.push(new Uint8Array(Buffer.concat((buffer as { parts: Uint8Array[] }).parts)));
    },
    flush_replies: () => {},
  };
  const card = { mac: Uint8Array.from(MAC), virtio: { queues: [queue], device_feature: Uint32Array.of(8) } };
  const bus = {
    add_listener: (_event: string, listener: (frame: never) => void) => {
      send = listener as typeof send;
    },
  };
  const network = new V86Network(card, bus, (packet) => void arrived.push(packet));
  return { network, card, guest, taken, arrived, send: (frame: Uint8Array) => send(frame) };
}

const frameOf = (type: number, payload: number) => {
  const frame = new Uint8Array(14 + payload).fill(0x45, 14);
  frame.set([type >> 8, type & 255], 12);
  return frame;
};

it("takes IPv4 packets from a guest, and drops everything else that it sends", () => {
  const { send, arrived } = playedCard();
  for (const bytes of [0, 1, 13, 14, 33]) send(frameOf(0x0800, 33).subarray(0, bytes));
  for (const type of [0x0806, 0x86dd, 0x8100, 0, 0x0008]) send(frameOf(type, 100));
  for (const bytes of [32_001, 65_535]) send(frameOf(0x0800, bytes));
  expect(arrived).toEqual([]);
  for (const bytes of [20, 1500, 32_000]) send(frameOf(0x0800, bytes));
  expect(arrived.map(({ byteLength }) => byteLength)).toEqual([20, 1500, 32_000]);
});

it("sends a guest packets under the address of its card, marked as undamaged, and none that is no packet", () => {
  const { network, card, guest, taken } = playedCard();
  guest.buffers = 10;
  network.send([packetOf(19), packetOf(20, 0x46), packetOf(32_001)]);
  const [frame] = taken;
  expect(taken).toHaveLength(1);
  expect([...frame!.subarray(0, 12)]).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  expect([...frame!.subarray(12, 18), ...frame!.subarray(24, 27)]).toEqual([...MAC, 8, 0, 0x46]);
  card.mac = Uint8Array.of(9, 9, 9, 9, 9, 9);
  network.send([packetOf(20)]);
  expect([...taken[1]!.subarray(12, 18)]).toEqual([9, 9, 9, 9, 9, 9]);
});

it("keeps packets in order until the guest has buffers, and drops the oldest beyond 32 MB", () => {
  const { network, guest, taken } = playedCard();
  guest.configured = false;
  network.send(Array.from({ length: 1100 }, (_, at) => packetOf(32_000, at & 255)));
  guest.configured = true;
  network.pump();
  expect(taken).toEqual([]);
  guest.buffers = 3;
  network.pump();
  expect(taken).toHaveLength(3);
  guest.buffers = 2000;
  network.pump();
  const kept = Math.floor(2 ** 25 / 32_000);
  expect(taken.map((frame) => frame[26])).toEqual(
    Array.from({ length: kept }, (_, at) => (1100 - kept + at) & 255),
  );
});

it("keeps no more than 65,536 small packets for a guest that takes none", () => {
  const { network, guest, taken } = playedCard();
  for (let i = 0; i < 8; i++) network.send(Array.from({ length: 10_000 }, () => packetOf(40, i)));
  guest.buffers = 100_000;
  network.pump();
  expect(taken).toHaveLength(65_536);
  expect([taken[0]![26], taken.at(-1)![26]]).toEqual([1, 7]);
});

it("offers a guest to leave out checksums, beside what the card offers by itself", () => {
  expect([...playedCard().card.virtio.device_feature]).toEqual([8 | 3]);
});
