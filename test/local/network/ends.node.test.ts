import type { Socket } from "node:net";
import { BoxRunClient } from "boxrun";
import { afterAll, describe, expect, it } from "vitest";
import { World } from "./world.js";

const world = new World();
const client = new BoxRunClient({ backend: "local", local: { persistent: false, dialer: world } });

afterAll(async () => {
  await client.close();
  await world[Symbol.asyncDispose]();
});

describe("the end of a box with a network", () => {
  it.each([
    // Its programs are ended first, and the kernel ends their connections as that of any machine does.
    { how: "stop", events: ["end", "close"] },
    { how: "remove", events: ["ECONNRESET", "close"] },
  ])("by $how ends its connections, and leaves nothing open", async ({ how, events }) => {
    let socket: Socket | undefined;
    const seen: (string | undefined)[] = [];
    await world.add(`${how}.example.com:1`, (accepted) => {
      socket = accepted;
      accepted.on("error", ({ code }: NodeJS.ErrnoException) => seen.push(code));
      accepted.on("end", () => {
        seen.push("end");
        accepted.end();
      });
    });
    const other = await client.create("tiny", { memoryMb: 256, network: true });
    await other.spawn(`nc ${how}.example.com 1 < /dev/zero > /dev/null`, { detached: true });
    while (!socket) await new Promise((resolve) => setImmediate(resolve));
    const closed = new Promise<void>((resolve) =>
      socket!.on("close", () => {
        seen.push("close");
        resolve();
      }),
    );
    if (how === "stop") await other.stop();
    else await other.remove({ force: true });
    socket.resume();
    await closed;
    expect(seen).toEqual(events);
    if (how === "stop") await other.remove();
  });
});

describe("a box without a network", () => {
  it("has none, and asks for nothing", async () => {
    const other = await client.create("tiny", { memoryMb: 256 });
    world.dialed.length = 0;
    const { stdout } = await other.exec(
      "ip addr; nslookup web.example.com; wget -T 3 -O - http://203.0.113.1/",
      { stderr: "stdout" },
    );
    expect(stdout).not.toContain("eth0: <BROADCAST,MULTICAST,NOARP,UP");
    expect(stdout).toMatch(/unreachable/i);
    expect(world.dialed).toEqual([]);
    await expect(other.network.log()).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    await other.remove({ force: true });
  });
});
