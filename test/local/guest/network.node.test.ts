import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NetworkSpec } from "../../../src/local/guest/guest.js";
import { type RunningGuest, startGuest } from "../running-guest.js";

const SPEC: NetworkSpec = {
  address: 0x0a00020f,
  prefix: 24,
  gateway: 0x0a000202,
  dns: 0x0a000203,
  mtu: 32_000,
};
const [ICMP, TCP] = [1, 6];
const [SYN, RST, ACK] = [0x02, 0x04, 0x10];

/** Where somebody answers, and then is silent. */
const OPEN_PORT = 81;

/** The sum of the 16-bit words, as IP, ICMP and TCP have it. */
function checksum(...parts: Uint8Array[]): number {
  let sum = 0;
  for (const part of parts)
    for (let at = 0; at < part.byteLength; at++) sum += part[at]! << (at % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const portOf = (packet: Uint8Array) => (packet[22]! << 8) | packet[23]!;
const dotted = (address: Uint8Array) => address.join(".");

/** A packet back to the sender of `packet`, with this payload. */
function answer(packet: Uint8Array, payload: Uint8Array): Uint8Array {
  const back = new Uint8Array(20 + payload.byteLength);
  const view = new DataView(back.buffer);
  back.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, packet[9]!]);
  view.setUint16(2, back.byteLength);
  back.set(packet.subarray(16, 20), 12);
  back.set(packet.subarray(12, 16), 16);
  view.setUint16(10, checksum(back.subarray(0, 20)));
  back.set(payload, 20);
  return back;
}

/** The answer to an echo request; undefined to anything else. */
function echo(packet: Uint8Array): Uint8Array | undefined {
  if (packet[9] !== ICMP || packet[20] !== 8) return undefined;
  const payload = packet.slice(20);
  payload.set([0, 0, 0, 0]);
  new DataView(payload.buffer).setUint16(2, checksum(payload));
  return answer(packet, payload);
}

/** The answer to the first packet of a connection, which these flags make a yes or a no; undefined to anything else. */
function answerSyn(packet: Uint8Array, flags: number): Uint8Array | undefined {
  if (packet[9] !== TCP || packet[33] !== SYN) return undefined;
  const asked = new DataView(packet.buffer, packet.byteOffset + 20);
  const payload = new Uint8Array(20);
  const view = new DataView(payload.buffer);
  view.setUint16(0, asked.getUint16(2));
  view.setUint16(2, asked.getUint16(0));
  view.setUint32(8, asked.getUint32(4) + 1);
  payload.set([0x50, flags, 0xff, 0xff], 12);
  view.setUint16(16, checksum(packet.subarray(12, 20), Uint8Array.of(0, TCP, 0, 20), payload));
  return answer(packet, payload);
}

describe("a guest whose network was asked for", () => {
  let running: RunningGuest;
  const packets: Uint8Array[] = [];
  beforeAll(async () => {
    running = await startGuest();
    const { machine } = running;
    machine.onPackets = (arrived) => {
      packets.push(...arrived);
      machine.handle.sendPackets(
        arrived.flatMap(
          (packet) =>
            echo(packet) ?? answerSyn(packet, portOf(packet) === OPEN_PORT ? SYN | ACK : RST | ACK) ?? [],
        ),
      );
    };
    machine.handle.openNetwork();
    await machine.guest.network(SPEC);
  });
  afterAll(() => running[Symbol.asyncDispose]());

  it("has its address, its way out and its name server, and no address of IPv6", async () => {
    const { shell } = running;
    expect(await shell("ip addr show eth0")).toMatch(
      /^\d+: eth0: <BROADCAST,MULTICAST,NOARP,UP,LOWER_UP> mtu 32000 .*\n.*\n +inet 10\.0\.2\.15\/24 [^:]*\n0$/,
    );
    expect(await shell("ip route")).toMatch(
      /^default via 10\.0\.2\.2 dev eth0 .*\n10\.0\.2\.0\/24 dev eth0 .* src 10\.0\.2\.15 \n0$/,
    );
    expect(await shell("cat /etc/resolv.conf")).toMatch(/\nnameserver 10\.0\.2\.3\n0$/);
  });

  it("reaches its gateway, with packets of all sizes", async () => {
    for (const bytes of [0, 56, 31_972])
      expect(await running.shell(`ping -c 3 -i 0.01 -W 5 -s ${bytes} 10.0.2.2`)).toMatch(
        /3 packets transmitted, 3 packets received, 0% packet loss/,
      );
  });

  it("gets to know at connect that a connection is refused", async () => {
    packets.length = 0;
    expect(await running.shell("wget -q -T 5 http://1.2.3.4/")).toMatch(/Connection refused\n1$/);
    const [syn] = packets;
    expect([dotted(syn!.subarray(12, 16)), dotted(syn!.subarray(16, 20))]).toEqual(["10.0.2.15", "1.2.3.4"]);
    expect([portOf(syn!), packets.length]).toEqual([80, 1]);
  });

  it("gives a busy host three seconds before it sends something again", async () => {
    const sentAt: number[] = [];
    const { machine, shell } = running;
    const { onPackets } = machine;
    const twice = new Promise<void>((resolve) => {
      machine.onPackets = (arrived) => {
        onPackets(arrived);
        const requests = arrived.filter((packet) => packet[9] === TCP && packet.byteLength > 60);
        sentAt.push(...requests.map(() => performance.now()));
        if (sentAt.length > 1) resolve();
      };
    });
    const asked = shell(`wget -q -T 8 -O - http://1.2.3.4:${OPEN_PORT}/`);
    await twice;
    machine.onPackets = onPackets;
    expect(sentAt[1]! - sentAt[0]!).toBeGreaterThan(2900);
    await shell("kill $(pidof wget)");
    await asked;
  });

  it("goes on when it is sent what is no packet, or more than it takes", async () => {
    const { handle } = running.machine;
    const garbage = [0, 1, 19, 20, 576, 32_000, 32_001, 100_000].map((bytes) =>
      new Uint8Array(bytes).fill(0x45),
    );
    handle.sendPackets(garbage);
    handle.sendPackets(Array.from({ length: 2000 }, () => new Uint8Array(32_000).fill(0x45)));
    expect(await running.shell("ping -c 1 -W 5 10.0.2.2")).toMatch(/ 0% packet loss/);
  });

  it("keeps a resolv.conf that is the box's own, and brings its own up to date", async () => {
    const { shell, machine } = running;
    const after = async (text: string, dns = SPEC.dns) => {
      await shell(text);
      await machine.guest.network({ ...SPEC, dns });
      return shell("cat /etc/resolv.conf");
    };
    const ours = await shell("cat /etc/resolv.conf");
    expect(await after(":", SPEC.dns + 1)).toBe(ours.replace("10.0.2.3", "10.0.2.4"));
    expect(await after("echo nameserver 9.9.9.9 > /etc/resolv.conf")).toBe("nameserver 9.9.9.9\n0");
    expect(await after("rm /etc/resolv.conf")).toBe(ours);
    expect(await after("ln -sf /root/mine /etc/resolv.conf")).toMatch(/No such file/);
    expect(await after("rm /etc/resolv.conf; mkdir /etc/resolv.conf")).toMatch(/Is a directory/);
    expect(await after("rmdir /etc/resolv.conf; > /etc/resolv.conf")).toBe(ours);
  });
});

describe("a guest whose network nobody asked for", () => {
  it("has none, and its root cannot send a packet to the host", async () => {
    await using running = await startGuest();
    const { shell, machine } = running;
    const packets: Uint8Array[] = [];
    machine.onPackets = (arrived) => void packets.push(...arrived);
    expect(await shell("ping -c 1 -W 1 10.0.2.2")).toMatch(/Network unreachable/);
    await shell("ip link set eth0 arp off up; ip addr add 10.0.2.15/24 dev eth0");
    expect(await shell("ping -c 3 -i 0.01 -W 1 10.0.2.2")).toMatch(/100% packet loss/);
    expect(Number.parseInt(await shell("cat /sys/class/net/eth0/statistics/tx_packets"), 10)).toBeGreaterThan(
      2,
    );
    expect(packets).toEqual([]);
  });
});
