import { expect, it, onTestFinished, vi } from "vitest";
import { LINK, makeIpv4, makeUdp, PROTOCOL, writeUint32 } from "../../../src/local/network/ipv4.js";
import { ACK, advance, FIN, RST, SYN } from "../../../src/local/network/tcp-segment.js";
import type { ByteConnection } from "../../../src/network/dialer.js";
import { PolicyDialer } from "../../../src/network/policy-dialer.js";
import { byHand, connected, heldBytes, pattern, random, SimulatedGuest, turn } from "./guest-socket.js";

const SERVER = 0xcb007105;
const MEGABYTE = 2 ** 20;
const SYNS = 10_000;
const MAX_CONNECTIONS = 1024;

it("10,000 SYNs at once are 1,024 connections, which work, and the rest are reset", async () => {
  const answers: (() => void)[] = [];
  const guest = new SimulatedGuest({
    connect: () =>
      new Promise<ByteConnection>((resolve) => {
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
        answers.push(() => resolve({ readable, writable }));
      }),
  });
  const before = heldBytes();
  const sockets = Array.from({ length: SYNS }, () => guest.socket(SERVER, 80));
  const connecting = sockets.map((socket) => socket.connect());
  await turn();
  expect(answers).toHaveLength(MAX_CONNECTIONS);
  expect(sockets.filter(({ state }) => state === "reset")).toHaveLength(SYNS - MAX_CONNECTIONS);
  for (const answer of answers) answer();
  await Promise.all(connecting);
  const open = sockets.filter(({ state }) => state === "open");
  expect(open).toHaveLength(MAX_CONNECTIONS);
  const bytes = pattern(100);
  for (const socket of open) void socket.write(bytes);
  for (const socket of open) await socket.until(() => socket.received.length === bytes.byteLength);
  expect(open.every(({ received }) => Buffer.from(received).equals(bytes))).toBe(true);
  // The guest of the test is most of it.
  expect(heldBytes() - before).toBeLessThan(128 * MEGABYTE);
  // The place of each that ends is free again.
  for (const socket of open) socket.reset();
  const again = guest.socket(SERVER, 80).connect();
  await turn();
  answers.at(-1)!();
  expect((await again).state).toBe("open");
  guest.stack.close();
});

it("10,000 SYNs at once are 200 dials behind rules, the rest are denied, and the log has the last 200", async () => {
  const clock = vi.spyOn(performance, "now").mockReturnValue(0);
  onTestFinished(() => clock.mockRestore());
  let dialed = 0;
  const dialer = new PolicyDialer(
    {
      connect: async () => {
        dialed++;
        return byHand();
      },
    },
    true,
  );
  const guest = new SimulatedGuest(dialer);
  const sockets = Array.from({ length: SYNS }, () => guest.socket(SERVER, 80));
  for (const socket of sockets) guest.send(socket.segment(SYN));
  await turn();
  expect(dialed).toBe(200);
  const refusals = new Set(guest.others.map(({ payload }) => `${payload[0]} ${payload[1]}`));
  expect(refusals).toEqual(new Set(["3 13"]));
  // More than 1,024 at once never reach the rules.
  const resets = sockets.filter(({ segments }) => segments.some(({ flags }) => flags & RST));
  expect(guest.others.length + resets.length).toBe(SYNS - 200);
  const log = dialer.log();
  expect(log).toHaveLength(200);
  expect(log.at(-1)).toMatchObject({ verdict: "denied", rule: "too many connections" });
  guest.stack.close();
});

it("packets in the name of others are answered to nobody, and touch no connection", async () => {
  const far = byHand();
  const { guest, asked } = connected(far);
  const socket = await guest.socket(SERVER, 80).connect();
  const chance = random(7);
  const sources = [0, 0xffffffff, 0x7f000001, SERVER, LINK.gateway, LINK.nameServer, LINK.guest + 1];
  const ping = makeIpv4(PROTOCOL.icmp, LINK.guest, LINK.gateway, 16);
  ping.payload[0] = 8;
  const good = [
    socket.segment(RST),
    socket.segment(SYN),
    socket.segment(FIN | ACK),
    socket.segment(ACK, { data: pattern(100) }),
    guest.socket(SERVER, 80).segment(SYN),
    makeUdp(LINK.guest, 4000, LINK.nameServer, 53, pattern(40)),
    ping.packet,
  ];
  const segments = socket.segments.length;
  for (let i = 0; i < 10_000; i++) {
    const packet = good[i % good.length]!.slice();
    const source = sources[i] ?? Math.floor(chance() * 2 ** 32);
    writeUint32(packet, 12, source === LINK.guest ? 1 : source);
    guest.send(packet);
  }
  await turn();
  expect([guest.others, socket.segments.length, asked.length, far.events]).toEqual([[], segments, 1, []]);
  await socket.write(pattern(10));
  await turn();
  expect(far.sent).toEqual([...pattern(10)]);
});

it("bytes that come one by one, for a server that takes none, cost as many bytes", async () => {
  const far = byHand();
  let open!: () => void;
  far.gate.open = new Promise((resolve) => (open = resolve));
  const { guest } = connected(far);
  const socket = await guest.socket(SERVER, 80).connect();
  const bytes = pattern(256 * 1024);
  const before = heldBytes();
  let most = 0;
  for (let at = 0; at < bytes.byteLength; at++) {
    guest.send(socket.segment(ACK, { data: bytes.subarray(at, at + 1) }));
    socket.next = advance(socket.next, 1);
    if (at % 4096 > 0) continue;
    await turn();
    socket.segments.length = 0;
    most = Math.max(most, heldBytes() - before);
  }
  expect(most).toBeLessThan(100 * MEGABYTE);
  open();
  await turn();
  expect(Buffer.from(far.sent).equals(bytes)).toBe(true);
});
