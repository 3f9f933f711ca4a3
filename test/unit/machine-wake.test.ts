import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, it, onTestFinished, vi } from "vitest";
import { Machine, type MachineParts } from "../../src/local/machine/v86-machine.js";

const EMULATOR = createRequire(import.meta.url).resolve("v86/build/v86.wasm");

declare const WebAssembly: { compile(bytes: Uint8Array): Promise<MachineParts["emulator"]> };

interface Emulator {
  v86: {
    cpu: { devices: { virtio_console: { virtio: { queues: object[] } } } };
    yield(ms: number, tick: number): void;
    yield_callback(tick: number): void;
  };
}

it("a guest that is woken by what it is sent goes on, in a page as in Node", async () => {
  // As in a page.
  vi.stubGlobal("setImmediate", undefined);
  onTestFinished(() => void vi.unstubAllGlobals());
  const disk = {
    byteLength: 1 << 20,
    read: (_: number, length: number) => new Uint8Array(length),
    write: () => {},
  };
  const machine = await Machine.create(
    {
      emulator: await WebAssembly.compile(readFileSync(EMULATOR)),
      memoryMb: 96,
      base: disk,
      disk,
    },
    { onOutput() {}, onConsole() {}, onEnd() {}, onFailure() {} },
  );
  const { v86 } = (machine as unknown as { emulator: Emulator }).emulator;
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
