import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, it, vi } from "vitest";
import type { FromMachine, ToMachine } from "../../../src/local/machine/messages.js";
import type { MachineEvents } from "../../../src/local/machine/v86-machine.js";
import { serveMachine } from "../../../src/local/machine/worker.js";

/** The machine is played: what counts here is who stands still when. */
const played = vi.hoisted(() => ({ events: undefined as unknown, calls: [] as string[] }));
vi.mock("../../../src/local/machine/v86-machine.js", () => ({
  DEVICE_SET: "played",
  Machine: {
    create: async (_parts: unknown, events: unknown) => {
      played.events = events;
      return {
        run: async () => {},
        pause: async () => played.calls.push("pause"),
        resume: async () => played.calls.push("resume"),
      };
    },
  },
}));

const packed = new Uint8Array(gzipSync(new Uint8Array(0)));
const file = {
  file: "thing.bin",
  bytes: packed.byteLength,
  rawBytes: 0,
  rawSha256: createHash("sha256").digest("hex"),
};

/** A machine that runs, told what its owner would tell it. */
async function runningMachine() {
  const posted: FromMachine[] = [];
  const tell: (message: ToMachine) => void = serveMachine({
    post: (message) => posted.push(message),
    openSource: () => ({
      location: "memory:",
      keeps: true,
      isHere: async () => true,
      readLatest: async () => packed,
      read: async () => packed,
      gunzip: async (bytes) => new Uint8Array(gunzipSync(bytes)),
    }),
    openDisk: () => Promise.reject(new Error("there is none")),
  });
  const names = ["base", "kernel", "agent", "bios", "vgabios", "v86.wasm"];
  tell({
    type: "start",
    config: {
      image: "played",
      memoryMb: 256,
      disk: null,
      diskBytes: 1,
      assets: "memory:",
      manifest: {
        version: 4,
        files: Object.fromEntries(names.map((name) => [name, file])),
        images: [
          {
            name: "played",
            aliases: [],
            standsFor: [],
            description: "played",
            base: "base",
            baseBytes: 0,
            baseSha256: "0".repeat(64),
            baseDownloadBytes: 0,
            bootImages: [],
          },
        ],
      },
    },
  });
  tell({ type: "disk", location: null, durability: "relaxed" });
  tell({ type: "emulator", module: {} as never });
  await vi.waitFor(() => expect(posted).toContainEqual(expect.objectContaining({ type: "started" })));
  const print = async (bytes: number) => {
    (played.events as MachineEvents).onOutput(new Uint8Array(bytes));
    await null;
  };
  const packet = async (bytes: number) => {
    (played.events as MachineEvents).onPacket(new Uint8Array(bytes));
    await null;
  };
  const packets = () =>
    posted.flatMap((message) => ("packets" in message ? [message.packets.map((p) => p.byteLength)] : []));
  const resumed = () => posted.filter((message) => "type" in message && message.type === "resumed").length;
  return { tell, print, packet, packets, resumed };
}

it("a machine whose output nobody takes stands still, and goes on once it is taken, unless it was paused", async () => {
  const { tell, print, resumed } = await runningMachine();
  for (let i = 0; i < 32; i++) await print(2 ** 20);
  expect(played.calls).toEqual([]);
  await print(2 ** 20);
  expect(played.calls).toEqual(["pause"]);
  tell({ type: "took", bytes: 2 ** 20 });
  expect(played.calls).toEqual(["pause", "resume"]);
  expect(resumed()).toBe(1);
  await print(2 ** 20);
  tell({ type: "pause" });
  tell({ type: "took", bytes: 33 * 2 ** 20 });
  expect(played.calls).toEqual(["pause", "resume", "pause"]);
  tell({ type: "resume" });
  expect(played.calls).toEqual(["pause", "resume", "pause", "resume"]);
  // Its owner sets the guest's date by itself after a pause of its own.
  expect(resumed()).toBe(1);
});

it("a guest's packets go to an owner that has asked for them, in one message a turn, and are dropped once it takes none", async () => {
  const { tell, packet, packets } = await runningMachine();
  await packet(100);
  expect(packets()).toEqual([]);
  tell({ type: "network" });
  const both = [packet(100), packet(200)];
  await Promise.all(both);
  expect(packets()).toEqual([[100, 200]]);
  // Each counts for more than its bytes: it is in a buffer of its own.
  tell({ type: "took-packets", bytes: 2 * 512 });
  for (let i = 0; i < 6; i++) await packet(2 ** 20);
  expect(packets().slice(1)).toEqual(Array(4).fill([2 ** 20]));
  await packet(20);
  expect(packets()).toHaveLength(5);
  tell({ type: "took-packets", bytes: 2 ** 20 });
  await packet(30);
  expect(packets().at(-1)).toEqual([30]);
});

it("a guest's packets are dropped beyond 8,192, however small they are", async () => {
  const { tell, packet, packets } = await runningMachine();
  tell({ type: "network" });
  await Promise.all(Array.from({ length: 10_000 }, () => packet(20)));
  expect(packets().flat()).toHaveLength((4 * 2 ** 20) / 512);
});
