import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Machine, type MachineParts } from "../../src/local/machine/v86-machine.js";
import { deferred } from "../../src/util/deferred.js";

const EMULATOR = createRequire(import.meta.url).resolve("v86/build/v86.wasm");
/** Registers of the first IDE channel. */
const DATA = 0x1f0;
const COUNT = 0x1f2;
const LBA = 0x1f3;
const DRIVE = 0x1f6;
const COMMAND = 0x1f7;
const STATUS = 0x3f6;
const SECOND_DRIVE = 0xf0;
const WRITE_SECTORS = 0x30;
const BUSY = 0x80;
const READY = 0x50;

interface Ports {
  port_write8(port: number, value: number): void;
  port_write16(port: number, value: number): void;
  port_read8(port: number): number;
}

declare const WebAssembly: { compile(bytes: Uint8Array): Promise<MachineParts["emulator"]> };

let machine: Machine;
let ports: Ports;
let writes: { offset: number; bytes: Uint8Array; stored: () => void }[];
beforeEach(async () => {
  writes = [];
  const empty = { byteLength: 1 << 20, read: (_: number, length: number) => new Uint8Array(length) };
  machine = await Machine.create(
    {
      emulator: await WebAssembly.compile(readFileSync(EMULATOR)),
      memoryMb: 96,
      base: { ...empty, write: () => {} },
      disk: {
        ...empty,
        write: (offset, bytes) => {
          const { promise, resolve } = deferred<void>();
          writes.push({ offset, bytes, stored: resolve });
          return promise;
        },
      },
    },
    { onOutput() {}, onConsole() {}, onEnd() {}, onFailure() {} },
  );
  ports = (machine as unknown as { emulator: { v86: { cpu: { io: Ports } } } }).emulator.v86.cpu.io;
});
afterEach(() => machine.stop());

/** Writes a sector as a kernel without DMA does. */
function writeSector(number: number, value: number): void {
  for (const [port, byte] of [
    [DRIVE, SECOND_DRIVE],
    [COUNT, 1],
    [LBA, number],
    [LBA + 1, 0],
    [LBA + 2, 0],
    [COMMAND, WRITE_SECTORS],
  ] as const) {
    ports.port_write8(port, byte);
  }
  for (let i = 0; i < 256; i++) ports.port_write16(DATA, value);
}

it("a write without DMA is acknowledged when it is stored, and not before", async () => {
  writeSector(3, 0x4141);
  expect(ports.port_read8(STATUS)).toBe(BUSY);
  expect(writes).toMatchObject([{ offset: 3 * 512, bytes: new Uint8Array(512).fill(0x41) }]);
  writes[0]!.stored();
  await new Promise(setImmediate);
  expect(ports.port_read8(STATUS)).toBe(READY);
  writeSector(4, 0x4242);
  expect(writes[0]!.bytes).toEqual(new Uint8Array(512).fill(0x41));
  expect(writes[1]).toMatchObject({ offset: 4 * 512, bytes: new Uint8Array(512).fill(0x42) });
});
