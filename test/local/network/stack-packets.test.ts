import { describe, expect, it } from "vitest";
import { LINK, makeIpv4, makeUdp, PROTOCOL } from "../../../src/local/network/ipv4.js";
import { ACK, FIN, SYN } from "../../../src/local/network/tcp-segment.js";
import { byHand, connected, pattern, random, refusing, SimulatedGuest, turn } from "./guest-socket.js";

const SERVER = 0xcb007105;

describe("a guest's network", () => {
  it("refuses connections beyond 1,024", async () => {
    const guest = new SimulatedGuest({ connect: () => new Promise(() => {}) });
    const sockets = Array.from({ length: 1100 }, () => guest.socket(SERVER, 80));
    for (const socket of sockets) void socket.connect();
    await turn();
    expect(sockets.filter(({ state }) => state === "reset")).toHaveLength(1100 - 1024);
    guest.stack.close();
  });

  it("answers pings to the gateway alone", async () => {
    const guest = new SimulatedGuest(refusing(new Error()));
    const ping = (target: number) => {
      const { packet, payload } = makeIpv4(PROTOCOL.icmp, LINK.guest, target, 16);
      payload.set([8, 0, 0, 0, 1, 2, 0, 1, 104, 101, 108, 108, 111]);
      return packet;
    };
    guest.send(ping(LINK.gateway), ping(SERVER));
    await turn();
    const [reply, denied] = guest.others;
    expect(reply).toMatchObject({ source: LINK.gateway, target: LINK.guest });
    expect([...reply!.payload]).toEqual([0, 0, ...reply!.payload.subarray(2, 4), ...ping(0).subarray(24)]);
    expect([...denied!.payload.subarray(0, 2)]).toEqual([3, 13]);
  });

  it("answers UDP with ICMP", async () => {
    const guest = new SimulatedGuest(refusing(new Error()));
    guest.send(makeUdp(LINK.guest, 4000, SERVER, 443, pattern(100)));
    await turn();
    expect([...guest.others[0]!.payload.subarray(0, 2)]).toEqual([3, 3]);
  });

  it("drops packets of other senders, fragments and what is cut", async () => {
    let dialed = 0;
    const guest = new SimulatedGuest({
      connect: () => {
        dialed++;
        return new Promise(() => {});
      },
    });
    const syn = guest.socket(SERVER, 80).segment(SYN);
    const foreign = syn.slice();
    foreign[15] = 99;
    const fragment = syn.slice();
    fragment[6] = 0x20;
    const version6 = syn.slice();
    version6[0] = 0x65;
    const shortHeader = syn.slice();
    shortHeader[32] = 0x10;
    for (let end = 0; end < syn.byteLength; end++) guest.send(syn.subarray(0, end));
    guest.send(foreign, fragment, version6, shortHeader);
    await turn();
    expect([dialed, guest.others]).toEqual([0, []]);
    guest.send(syn);
    await turn();
    expect(dialed).toBe(1);
    guest.stack.close();
  });

  it("takes any packets without an error, and none of them ends it", async () => {
    const chance = random(5);
    const guest = new SimulatedGuest({ connect: async () => byHand() });
    const socket = await guest.socket(SERVER, 80).connect();
    const good = [
      socket.segment(SYN),
      socket.segment(ACK, { data: pattern(30) }),
      socket.segment(FIN | ACK),
      makeUdp(LINK.guest, 4000, LINK.nameServer, 53, pattern(40)),
    ];
    for (let i = 0; i < 20_000; i++) {
      const packet = good[Math.floor(chance() * good.length)]!.slice();
      const changes = 1 + Math.floor(chance() * 4);
      for (let n = 0; n < changes; n++)
        packet[Math.floor(chance() * packet.byteLength)] = Math.floor(chance() * 256);
      guest.send(packet.subarray(0, chance() < 0.1 ? Math.floor(chance() * packet.byteLength) : undefined));
    }
    await turn();
    const other = await guest.socket(SERVER, 81).connect();
    expect(other.state).toBe("open");
    guest.stack.close();
  });

  it("resets its far sides when it is closed, and leaves no timer", async () => {
    const far = byHand();
    const { guest } = connected(far);
    await guest.socket(SERVER, 80).connect();
    guest.stack.close();
    await turn();
    expect(far.events.sort()).toEqual(["aborted", "canceled"]);
    expect(guest.timers.size).toBe(0);
  });
});
