import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, it, onTestFinished, vi } from "vitest";
import { Machine, type MachineParts } from "../../../src/local/machine/v86-machine.js";

const EMULATOR = createRequire(import.meta.url).resolve("v86/build/v86.wasm");

declare const WebAssembly: { compile(bytes: Uint8Array): Promise<MachineParts["emulator"]> };

interface Emulator {
  v86: {
    cpu: { reboot_internal(): void; devices: { virtio_console: { virtio: { queues: object[] } } } };
    yield(ms: number, tick: number): void;
    yield_callback(tick: number): void;
  };
}

async function newMachine() {
  const disk = {
    byteLength: 1 << 20,
    read: (_: number, length: number) => new Uint8Array(length),
    write: () => {},
  };
  const events = { onOutput() {}, onPacket() {}, onConsole() {}, onEnd: vi.fn(), onFailure: vi.fn() };
  const machine = await Machine.create(
    {
      emulator: await WebAssembly.compile(readFileSync(EMULATOR)),
      serve9p: () => {},
      memoryMb: 96,
      base: disk,
      disk,
    },
    events,
  );
  const { v86 } = (machine as unknown as { emulator: Emulator }).emulator;
  return { machine, v86, events };
}

it("a guest that is woken by what it is sent goes on, in a page as in Node", async () => {
  // As in a page.
  vi.stubGlobal("setImmediate", undefined);
  onTestFinished(() => void vi.unstubAllGlobals());
  const { machine, v86 } = await newMachine();
  const ticks: number[] = [];
  v86.yield_callback = (tick) => void ticks.push(tick);
  // The port as a guest that waits for input has it: what comes raises an interrupt, and v86 begins another slice at once, within the call.
  v86.cpu.devices.virtio_console.virtio.queues[4] = {
    is_configured: () => true,
    has_request: () => ticks.length === 0,
    pop_request: () => ({ set_next_blob() {} }),
    push_reply() {},
    flush_replies: () => v86.yield(0, 2),
  };
  const input = (machine as unknown as { input: Uint8Array[] }).input;
  input.push(new Uint8Array(1));
  v86.yield(0, 1);
  await expect.poll(() => ticks).toContain(2);
  await machine.stop();
});

it("a guest that goes on after it has asked for a reset, into what cannot be emulated, has reset its machine", async () => {
  const { v86, events } = await newMachine();
  const trap = new Error("unreachable");
  v86.yield_callback = () => {
    v86.cpu.reboot_internal();
    throw trap;
  };
  v86.yield(0, 1);
  await expect.poll(() => events.onEnd.mock.calls).toEqual([[expect.stringContaining("reset")]]);
  expect(events.onFailure).not.toHaveBeenCalled();
});

it("what cannot be emulated ends a machine, once", async () => {
  const { v86, events } = await newMachine();
  const trap = new Error("unreachable");
  v86.yield_callback = () => {
    throw trap;
  };
  v86.yield(0, 1);
  await expect.poll(() => events.onFailure.mock.calls).toEqual([[trap]]);
  v86.yield(0, 2);
  await new Promise((resolve) => setTimeout(resolve));
  expect(events.onFailure).toHaveBeenCalledOnce();
});
