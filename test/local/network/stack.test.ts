import { describe, expect, it, vi } from "vitest";
import { LINK, PROTOCOL } from "../../../src/local/network/ipv4.js";
import { ACK, RST, SYN } from "../../../src/local/network/tcp-segment.js";
import { type ByteConnection, DialError } from "../../../src/network/dialer.js";
import { byHand, connected, pattern, random, refusing, SimulatedGuest, turn } from "./guest-socket.js";

const SERVER = 0xcb007105;

describe("a connection of a guest", () => {
  it("is dialed before its SYN is answered", async () => {
    let answer!: (connection: ByteConnection) => void;
    const guest = new SimulatedGuest({ connect: () => new Promise((resolve) => (answer = resolve)) });
    const socket = guest.socket(SERVER, 80);
    const connecting = socket.connect();
    await turn();
    expect(socket.segments).toEqual([]);
    answer(byHand());
    await connecting;
    expect(socket.state).toBe("open");
    expect(socket.segments[0]).toMatchObject({
      flags: SYN | ACK,
      maxSegmentBytes: LINK.mtu - 40,
      windowScale: 3,
    });
  });

  it("names the address that the program connects to", async () => {
    const { guest, asked } = connected();
    await guest.socket(SERVER, 8080).connect();
    expect(asked).toEqual([{ host: "203.0.113.5", port: 8080 }]);
  });

  it("is reset where nobody listens", async () => {
    const guest = new SimulatedGuest(refusing(new DialError("ECONNREFUSED", "refused")));
    const socket = await guest.socket(SERVER, 80).connect();
    expect(socket.segments[0]).toMatchObject({ flags: RST | ACK, acknowledged: socket.next });
  });

  it.each([
    ["EHOSTUNREACH", 1],
    ["ENETUNREACH", 0],
    ["EACCES", 13],
  ] as const)("ends with ICMP for %s", async (code, icmp) => {
    const guest = new SimulatedGuest(refusing(new DialError(code, "no")));
    const socket = guest.socket(SERVER, 80);
    guest.send(socket.segment(SYN));
    await turn();
    const [packet] = guest.others;
    expect(packet).toMatchObject({ protocol: PROTOCOL.icmp, source: LINK.gateway, target: LINK.guest });
    expect([...packet!.payload.subarray(0, 2)]).toEqual([3, icmp]);
    // It quotes the SYN's ends and its number, by which the guest's kernel finds the socket.
    expect(packet!.payload.subarray(28, 36)).toEqual(socket.segment(SYN).subarray(20, 28));
  });

  it("takes a dialer's own error for an unreachable host, and so streams that somebody else reads", async () => {
    const far = byHand();
    far.readable.getReader();
    const broken = [refusing(new TypeError("a mistake")), { connect: async () => far }];
    for (const dialer of broken) {
      const guest = new SimulatedGuest(dialer);
      guest.send(guest.socket(SERVER, 80).segment(SYN));
      await turn();
      expect([...guest.others[0]!.payload.subarray(0, 2)]).toEqual([3, 1]);
    }
  });

  it("gets no answer where the far side gives none, however often the guest asks, and is dialed once", async () => {
    let dialed = 0;
    const guest = new SimulatedGuest({
      connect: () => {
        dialed++;
        return Promise.reject(new DialError("ETIMEDOUT", "no answer"));
      },
    });
    const socket = guest.socket(SERVER, 80);
    for (let i = 0; i < 3; i++) {
      guest.send(socket.segment(SYN));
      await guest.pass(1);
    }
    expect([dialed, socket.segments, guest.others]).toEqual([1, [], []]);
    await guest.pass(140);
    guest.send(socket.segment(SYN));
    await turn();
    expect(dialed).toBe(2);
  });

  it("carries bytes both ways, and each direction ends by itself", async () => {
    const far = byHand();
    const socket = await connected(far).guest.socket(SERVER, 80).connect();
    await socket.write(pattern(5000));
    socket.end();
    await turn();
    expect(far.sent).toEqual([...pattern(5000)]);
    expect(far.events).toEqual(["closed"]);
    far.source.enqueue(pattern(100_000));
    await socket.until(() => socket.received.length === 100_000);
    far.source.close();
    await socket.until(() => socket.ended);
    expect(socket.received).toEqual([...pattern(100_000)]);
  });

  it("is forgotten once both directions have ended, and what comes later is reset", async () => {
    const far = byHand();
    const { guest } = connected(far);
    const socket = await guest.socket(SERVER, 80).connect();
    far.source.close();
    await socket.until(() => socket.ended);
    socket.end();
    await turn();
    guest.send(socket.segment(ACK));
    await turn();
    expect(socket.segments.at(-1)!.flags).toBe(RST);
    expect(guest.timers.size).toBe(1);
    await guest.pass(1);
    expect(guest.timers.size).toBe(0);
  });

  it("is reset when its far side is", async () => {
    const far = byHand();
    const socket = await connected(far).guest.socket(SERVER, 80).connect();
    far.source.error(new Error("reset by peer"));
    await socket.until(() => socket.state === "reset");
    expect(far.events).toEqual(["aborted"]);
  });

  it("resets its far side when the guest resets it", async () => {
    const far = byHand();
    const socket = await connected(far).guest.socket(SERVER, 80).connect();
    socket.reset();
    await turn();
    expect(far.events.sort()).toEqual(["aborted", "canceled"]);
  });

  it("ignores a reset with a number that it cannot have", async () => {
    const far = byHand();
    const { guest } = connected(far);
    const socket = await guest.socket(SERVER, 80).connect();
    guest.send(socket.segment(RST, { sequence: socket.next - 5 }));
    await socket.write(pattern(10));
    await turn();
    expect([far.events, far.sent.length]).toEqual([[], 10]);
  });

  it("aborts its dialing when the guest gives up, and resets what comes of it", async () => {
    let answer!: (connection: ByteConnection) => void;
    let aborted = false;
    const guest = new SimulatedGuest({
      connect: (_target, { signal }) => {
        signal.addEventListener("abort", () => (aborted = true));
        return new Promise((resolve) => (answer = resolve));
      },
    });
    const socket = guest.socket(SERVER, 80);
    void socket.connect();
    await turn();
    socket.reset();
    expect(aborted).toBe(true);
    const far = byHand();
    answer(far);
    await turn();
    expect(far.events.sort()).toEqual(["aborted", "canceled"]);
  });

  it("makes room for a new one between the same ends, as after the guest has lost the old one", async () => {
    const fars = [byHand(), byHand()];
    let dialed = 0;
    const guest = new SimulatedGuest({ connect: async () => fars[dialed++]! });
    const socket = await guest.socket(SERVER, 80).connect();
    socket.next = 77;
    await socket.connect();
    await turn();
    expect(dialed).toBe(2);
    expect(fars[0]!.events.sort()).toEqual(["aborted", "canceled"]);
    await socket.write(pattern(10));
    await turn();
    expect(fars[1]!.sent).toEqual([...pattern(10)]);
  });

  it("closes its window while the far side takes nothing, and opens it again", async () => {
    const far = byHand();
    let open!: () => void;
    far.gate.open = new Promise((resolve) => (open = resolve));
    const socket = await connected(far).guest.socket(SERVER, 80).connect();
    const written = socket.write(pattern(600_000));
    await turn();
    await socket.until(() => socket.windowLeft === 0);
    expect(socket.unacknowledgedBytes).toBe(0);
    expect(far.sent).toEqual([]);
    open();
    await written;
    await turn();
    expect(far.sent).toEqual([...pattern(600_000)]);
  });

  it("takes no more than it has announced, and no bytes twice", async () => {
    const far = byHand();
    let open!: () => void;
    far.gate.open = new Promise((resolve) => (open = resolve));
    const { guest } = connected(far);
    const socket = await guest.socket(SERVER, 80).connect();
    const bytes = pattern(300_000);
    // A guest that does not care for the window.
    for (let at = 0; at < bytes.byteLength; at += 30_000)
      guest.send(socket.segment(ACK, { sequence: socket.next + at, data: bytes.subarray(at, at + 30_000) }));
    guest.send(socket.segment(ACK, { data: bytes.subarray(0, 30_000) }));
    open();
    await turn();
    expect(far.sent).toEqual([...bytes.subarray(0, 2 ** 18)]);
  });

  it("does not read ahead of a guest that does not read", async () => {
    let pulled = 0;
    const readable = new ReadableStream<Uint8Array>(
      { pull: (controller) => controller.enqueue(pattern(10_000 + 0 * pulled++)) },
      { highWaterMark: 0 },
    );
    const { guest } = connected({ readable, writable: new WritableStream() });
    const socket = guest.socket(SERVER, 80, { windowBytes: 50_000 });
    socket.reading = false;
    await socket.connect();
    await socket.until(() => socket.received.length > 49_000);
    await guest.pass(20);
    expect(pulled).toBeLessThan(40);
    socket.resume();
    await socket.until(() => socket.received.length > 500_000);
    socket.reset();
  });

  it("works with a guest that has no scale of windows and small segments", async () => {
    const far = byHand();
    const { guest } = connected(far);
    const socket = guest.socket(SERVER, 80, { windowScale: undefined, segmentBytes: 600, windowBytes: 9000 });
    await socket.connect();
    expect(socket.segments[0]!.windowScale).toBeUndefined();
    far.source.enqueue(pattern(200_000));
    await socket.write(pattern(200_000));
    await socket.until(() => socket.received.length === 200_000);
    await turn();
    expect(socket.received).toEqual([...pattern(200_000)]);
    expect(far.sent).toEqual([...pattern(200_000)]);
    expect(Math.max(...socket.segments.map(({ data }) => data.byteLength))).toBe(600);
  });

  it.each([1, 2, 3, 4])("gives the same bytes over a link that loses packets, seed %i", async (seed) => {
    const chance = random(seed);
    const far = byHand();
    const { guest } = connected(far);
    const socket = await guest
      .socket(SERVER, 80, { segmentBytes: 1 + Math.floor(chance() * 30_000), windowBytes: 40_000 })
      .connect();
    guest.lose = () => chance() < 0.1;
    const [up, down] = [pattern(150_000), pattern(170_000)];
    far.source.enqueue(down);
    far.source.close();
    let sent = 0;
    for (let rounds = 0; rounds < 2000; rounds++) {
      if (sent === up.byteLength && socket.ended && far.sent.length === up.byteLength) break;
      // The first that is not acknowledged is sent again, as a kernel does after its timeout.
      const acknowledged = sent - socket.unacknowledgedBytes;
      if (rounds % 7 === 6) socket.resend(up.subarray(acknowledged, Math.min(sent, acknowledged + 30_000)));
      // Less than the window, which may shrink by a few bytes when it is announced in units.
      const size = Math.min(
        Math.ceil(chance() * 9000),
        Math.max(0, socket.windowLeft - 64),
        up.byteLength - sent,
      );
      if (size > 0) await socket.write(up.subarray(sent, sent + size), () => Math.ceil(chance() * 3000));
      sent += size;
      await guest.pass(1);
    }
    expect(far.sent.length).toBe(up.byteLength);
    expect(Buffer.from(far.sent).equals(up)).toBe(true);
    expect(Buffer.from(socket.received).equals(down)).toBe(true);
    expect(socket.ended).toBe(true);
  });

  it("is let go when a guest that has ended its side knows it no longer, and kept as long as it does", async () => {
    const far = byHand();
    const { guest } = connected(far);
    const socket = await guest.socket(SERVER, 80).connect();
    socket.end();
    await guest.pass(600);
    expect(far.events).toEqual(["closed"]);
    far.source.enqueue(pattern(10));
    await socket.until(() => socket.received.length === 10);
    // As a kernel forgets a socket that its program has closed.
    const refuse = vi.spyOn(socket, "receive").mockImplementation(({ acknowledged }) => {
      guest.send(socket.segment(RST, { sequence: acknowledged }));
    });
    await guest.pass(59);
    expect(refuse).not.toHaveBeenCalled();
    await guest.pass(2);
    expect(far.events).toEqual(["closed", "canceled"]);
    expect(guest.timers.size).toBe(0);
  });

  it("waits for a server that is slow to take what a guest has sent and ended, whatever the guest still knows", async () => {
    const far = byHand();
    let open!: () => void;
    far.gate.open = new Promise((resolve) => (open = resolve));
    const { guest } = connected(far);
    const socket = await guest.socket(SERVER, 80).connect();
    await socket.write(pattern(5000));
    socket.end();
    await turn();
    const probes = vi.spyOn(socket, "receive");
    await guest.pass(600);
    expect(probes).not.toHaveBeenCalled();
    open();
    await turn();
    expect([far.sent.length, far.events]).toEqual([5000, ["closed"]]);
    guest.stack.close();
  });

  it("ends when the guest does not answer at all any more", async () => {
    const far = byHand();
    const { guest } = connected(far);
    await guest.socket(SERVER, 80).connect();
    guest.lose = () => true;
    far.source.enqueue(pattern(10));
    await guest.pass(600);
    expect(far.events).toContain("aborted");
    expect(guest.timers.size).toBe(0);
  });
});
