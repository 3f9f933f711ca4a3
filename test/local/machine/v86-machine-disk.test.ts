import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Machine, type MachineParts } from "../../../src/local/machine/v86-machine.js";
import { deferred } from "../../../src/util/deferred.js";

const EMULATOR = createRequire(import.meta.url).resolve("v86/build/v86.wasm");
/** Registers of the first IDE channel. */
const DATA = 0x1f0;
const ERROR = 0x1f1;
const COUNT = 0x1f2;
const LBA = 0x1f3;
const DRIVE = 0x1f6;
const COMMAND = 0x1f7;
const STATUS = 0x3f6;
/** Written, the status's port is the channel's control: this resets both of its drives. */
const RESET = 4;
const BUS_MASTER = 0xb400;
const BUS_MASTER_STATUS = 0xb402;
const BUS_MASTER_TABLE = 0xb404;
const INTERRUPT = 4;
const FIRST_DRIVE = 0xe0;
const SECOND_DRIVE = 0xf0;
const READ_SECTORS = 0x20;
const READ_DMA = 0xc8;
const WRITE_SECTORS = 0x30;
const READ_DMA_EXT = 0x25;
const WRITE_DMA = 0xca;
const BUSY = 0x80;
const READY = 0x50;
const FAILED = 0x01;
const UNREADABLE = 0x40;
const DMA_ACTIVE = 0x01;
const DMA_FAILED = 0x02;

interface Ports {
  port_write8(port: number, value: number): void;
  port_write16(port: number, value: number): void;
  port_write32(port: number, value: number): void;
  port_read8(port: number): number;
}

declare const WebAssembly: { compile(bytes: Uint8Array): Promise<MachineParts["emulator"]> };

let machine: Machine;
let ports: Ports;
let memory: Uint8Array;
let made: boolean;
let reads: { length: number; answer: () => void; fail: () => void }[];
let failures: unknown[];
/** Of the image's disk, while `offline`. */
let lost: (() => void)[];
let unreadable: unknown[];
let offline: boolean;
let writes: { offset: number; bytes: Uint8Array; stored: () => void }[];
beforeEach(async () => {
  made = false;
  writes = [];
  reads = [];
  failures = [];
  lost = [];
  unreadable = [];
  offline = false;
  const empty = { byteLength: 64 << 20, read: (_: number, length: number) => new Uint8Array(length) };
  machine = await Machine.create(
    {
      emulator: await WebAssembly.compile(readFileSync(EMULATOR)),
      serve9p: () => {},
      memoryMb: 96,
      base: {
        byteLength: 64 << 20,
        onUnreadable: (error) => unreadable.push(error),
        read: (_, length) => {
          if (!offline) return new Uint8Array(length).fill(0x41);
          const { promise, reject } = deferred<Uint8Array>();
          lost.push(() => reject(new Error("no network")));
          return promise;
        },
        write: () => {},
      },
      disk: {
        ...empty,
        read: (_, length) => {
          // While a machine is made it reads and waits for that.
          if (!made) return new Uint8Array(length);
          const { promise, resolve, reject } = deferred<Uint8Array>();
          const fail = () => reject(new Error("the disk is gone"));
          reads.push({ length, answer: () => resolve(new Uint8Array(length)), fail });
          return promise;
        },
        write: (offset, bytes) => {
          const { promise, resolve } = deferred<void>();
          writes.push({ offset, bytes, stored: resolve });
          return promise;
        },
      },
    },
    { onOutput() {}, onPacket() {}, onConsole() {}, onEnd() {}, onFailure: (error) => failures.push(error) },
  );
  made = true;
  const { cpu } = (machine as unknown as { emulator: { v86: { cpu: { io: Ports; mem8: Uint8Array } } } })
    .emulator.v86;
  ports = cpu.io;
  memory = cpu.mem8;
});
afterEach(() => machine.stop());

/** Gives the drive a command for one sector. */
function command(number: number, code: number, drive = SECOND_DRIVE): void {
  setPorts([
    [DRIVE, drive],
    [COUNT, 1],
    [LBA, number],
    [LBA + 1, 0],
    [LBA + 2, 0],
    [COMMAND, code],
  ]);
}

const setPorts = (values: readonly (readonly [number, number])[]) => {
  for (const [port, value] of values) ports.port_write8(port, value);
};
/** Reads 32 MB, the most that one command can. */
function readMost(): void {
  setPorts([
    [DRIVE, SECOND_DRIVE],
    [COUNT, 0],
    [COUNT, 0],
    ...[0, 1, 2, 0, 1, 2].map((at) => [LBA + at, 0] as const),
    [COMMAND, READ_DMA_EXT],
  ]);
  startDma();
}
function startDma(): void {
  setPorts([
    [BUS_MASTER, 0],
    [BUS_MASTER, 1],
  ]);
}
function reset(): void {
  setPorts([
    [STATUS, RESET],
    [STATUS, 0],
  ]);
}

/** Writes a sector as a kernel without DMA does. */
function writeSector(number: number, value: number): void {
  command(number, WRITE_SECTORS);
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

it.each([
  ["resets", reset],
  ["does not wait for", () => {}],
])(
  "a guest that %s its drive again and again while that reads is ended before that takes all memory",
  async (_, between) => {
    for (let i = 0; i < 2; i++) {
      readMost();
      between();
    }
    expect(reads.map(({ length }) => length)).toEqual([32 << 20, 32 << 20]);
    expect(failures).toEqual([]);
    for (let i = 0; i < 10; i++) {
      readMost();
      between();
    }
    expect(reads).toHaveLength(2);
    expect(failures).toMatchObject([{ message: expect.stringContaining("more than 64 MB") }]);
  },
);

it("a guest that writes little again and again without waiting is ended as well: each write may hold much more than its bytes", () => {
  for (let i = 0; i < 1100; i++) {
    writeSector(3, 0x4141);
    reset();
  }
  expect(writes).toHaveLength(1024);
  expect(failures).toMatchObject([{ message: expect.stringContaining("more than 64 MB") }]);
});

it("what a drive has read no longer counts", async () => {
  for (let i = 0; i < 5; i++) {
    readMost();
    reset();
    reads.at(-1)!.answer();
    await new Promise(setImmediate);
  }
  expect(reads).toHaveLength(5);
  expect(failures).toEqual([]);
});

it.each([
  ["without DMA", (number: number) => writeSector(number, 0x4141)],
  [
    "with DMA",
    (number: number) => {
      // One entry, the last: 512 bytes from 0x2000 on.
      memory.set([0, 0x20, 0, 0, 0, 2, 0, 0x80], 0x1000);
      ports.port_write32(BUS_MASTER_TABLE, 0x1000);
      command(number, WRITE_DMA);
      startDma();
    },
  ],
])(
  "a write %s that is stored after the drive was reset does not end what the drive does by then",
  async (_, write) => {
    write(3);
    reset();
    write(5);
    ports.port_write8(BUS_MASTER_STATUS, INTERRUPT);
    const state = () => [STATUS, LBA, COUNT, BUS_MASTER_STATUS].map((port) => ports.port_read8(port));
    const before = state();
    writes[0]!.stored();
    await new Promise(setImmediate);
    expect(state()).toEqual(before);
    expect(before[3]! & INTERRUPT).toBe(0);
    writes[1]!.stored();
    await new Promise(setImmediate);
    const [status, sector, , busMaster] = state();
    expect([status, sector, busMaster! & INTERRUPT]).toEqual([READY, 6, INTERRUPT]);
  },
);

/** Gives the image's drive a command to read one sector; with DMA to 0x2000. */
function readImage(number: number, code: number): void {
  memory.set([0, 0x20, 0, 0, 0, 2, 0, 0x80], 0x1000);
  ports.port_write32(BUS_MASTER_TABLE, 0x1000);
  // With interrupts, and none that is there yet.
  setPorts([
    [STATUS, 0],
    [BUS_MASTER_STATUS, INTERRUPT],
  ]);
  command(number, code, FIRST_DRIVE);
  if (code === READ_DMA) startDma();
}

it.each([
  ["without DMA", READ_SECTORS],
  ["with DMA", READ_DMA],
])(
  "a read of the image %s that fails is an error of those sectors, and can be tried again",
  async (_, code) => {
    offline = true;
    readImage(7, code);
    expect(ports.port_read8(BUS_MASTER_STATUS) & INTERRUPT).toBe(0);
    lost[0]!();
    await new Promise(setImmediate);
    expect([STATUS, ERROR, LBA].map((port) => ports.port_read8(port))).toEqual([
      READY | FAILED,
      UNREADABLE,
      7,
    ]);
    // The bus master's own error would mean memory that it could not reach.
    expect(ports.port_read8(BUS_MASTER_STATUS) & (INTERRUPT | DMA_ACTIVE | DMA_FAILED)).toBe(INTERRUPT);
    expect(unreadable).toMatchObject([{ message: "no network" }]);

    offline = false;
    readImage(7, code);
    expect(ports.port_read8(STATUS) & FAILED).toBe(0);
    if (code === READ_SECTORS) expect(ports.port_read8(DATA)).toBe(0x41);
    else expect(memory.slice(0x2000, 0x2200)).toEqual(new Uint8Array(512).fill(0x41));
    expect(failures).toEqual([]);
  },
);

it("a read that fails after the drive was reset does not end what the drive does by then", async () => {
  offline = true;
  readImage(7, READ_DMA);
  reset();
  readImage(9, READ_DMA);
  const before = [STATUS, ERROR, BUS_MASTER_STATUS].map((port) => ports.port_read8(port));
  lost[0]!();
  await new Promise(setImmediate);
  expect([STATUS, ERROR, BUS_MASTER_STATUS].map((port) => ports.port_read8(port))).toEqual(before);
  lost[1]!();
  await new Promise(setImmediate);
  expect(ports.port_read8(STATUS)).toBe(READY | FAILED);
});

it("a read of the box's own disk that fails ends the machine: its data is at risk", async () => {
  readMost();
  reads[0]!.fail();
  await new Promise(setImmediate);
  expect(failures).toMatchObject([{ message: "the disk is gone" }]);
  expect(ports.port_read8(STATUS) & FAILED).toBe(0);
});
