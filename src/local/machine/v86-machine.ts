/**
 * One emulated machine. The only file that imports v86, and the only one that reaches into it: v86's public API has no console
 * ports with back-pressure, no restore that spares memory and no notice of a reset, so all of that is here, against
 * the one version that package.json pins. What v86 calls of ours for its disks is in v86-disk.ts.
 */
import { V86 } from "v86";
import { deferred } from "../../util/deferred.js";
import type { MachineDisk } from "./disks.js";
import { PAGE_BYTES, packPages, type Snapshot, unpackPages } from "./snapshot.js";
import { tickScheduler } from "./tick-scheduler.js";
import { type Drive, mendDrives, V86Disk } from "./v86-disk.js";

/** Changes when the set of devices below does: part of a snapshot's fingerprint. */
export const DEVICE_SET = "console,net-virtio,9p,balloon,hda,hdb,serial,no-acpi/1";

/** The agent's port among the four of the virtio console, and its queue from host to guest. */
const AGENT_PORT = 1;
const AGENT_RX_QUEUE = 2 * AGENT_PORT + 2;
/** One posted buffer of the guest: what is sent beyond it in one go would be lost. */
const RX_BUFFER_BYTES = 4096;
const CONSOLE_PORT_EVENT = 4;

/** Display memory: as small as the device allows, since nothing draws. */
const VGA_BYTES = 1 << 20;
/** Indices of v86's `set_jit_config`: 1 disables the JIT; the most guest pages that one compiled module covers. */
const JIT_DISABLED = 0;
const JIT_MAX_PAGES = 1;
/**
 * Compiling code that runs once costs several times what interpreting it does, and short commands are such code: process start-up, mostly.
 * So what is hot is compiled in one slice of emulation in five, which makes a command that comes again and again fast without making the
 * first ones slow; and in every slice once the guest has been busy for so long without a pause, or has moved so much through its port
 * without a long pause. Measured in docs/internals/performance.md.
 */
const COMPILE_IN_ONE_SLICE_OF = 5;
const COMPILE_AFTER_BUSY_MS = 250;
const COMPILE_AFTER_BYTES = 256 * 1024;
const LONG_PAUSE_MS = 20;

/** From construction to the last of v86's own start-up events: its errors there are thrown from timers, where nobody can catch them. */
const INIT_DEADLINE_MS = 30_000;

/** What a cold boot needs beside the disks. */
export interface ColdBoot {
  kernel: Uint8Array;
  initramfs: Uint8Array;
  bios: Uint8Array;
  vgaBios: Uint8Array;
  cmdline: string;
}

/** All that a machine is made of. */
export interface MachineParts {
  emulator: WebAssembly.Module;
  memoryMb: number;
  base: MachineDisk;
  disk: MachineDisk;
  /** Absent: the machine is restored from a snapshot before it runs. */
  cold?: ColdBoot;
}

/** What a machine tells its owner. */
export interface MachineEvents {
  /** Bytes from the agent. The array is the receiver's. */
  onOutput(bytes: Uint8Array): void;
  /** One byte of the kernel's serial console. */
  onConsole(byte: number): void;
  /** The guest reset itself or halted for ever: a kernel panic, `reboot`, `poweroff`. */
  onEnd(reason: string): void;
  /** A disk rejected a read or a write, and does not bear that ({@link MachineDisk.onUnreadable}). The machine has stopped. */
  onFailure(error: unknown): void;
}

/** The parts of v86's inside that are used here. */
interface Cpu {
  mem8: Uint8Array;
  devices: { virtio_console: VirtioConsole; ide: { primary: { master: Drive } } };
  pack_memory(): { packed_memory: Uint8Array; bitmap: { get_buffer(): ArrayBuffer } };
  unpack_memory(): void;
  store_current_tsc(): void;
  set_tsc(low: number, high: number): void;
  current_tsc: Uint32Array;
  is_memory_zeroed(address: number, length: number): number;
  reboot_internal(): void;
}
interface VirtioConsole {
  virtio: { queues: VirtQueue[] };
  SendEvent(port: number, event: number, value: number): void;
}
interface VirtQueue {
  is_configured(): unknown;
  has_request(): boolean;
  pop_request(): { set_next_blob(bytes: Uint8Array): void };
  push_reply(buffer: object): void;
  flush_replies(): void;
}
interface Emulator {
  v86: {
    cpu: Cpu;
    yield(ms: number, tick: number): void;
    yield_callback(tick: number): void;
    unregister_yield(): void;
  };
  add_listener(event: string, listener: (value: never) => void): void;
  restore_state(state: ArrayBuffer): Promise<void>;
  save_state(): Promise<ArrayBuffer>;
  run(): Promise<void>;
  stop(): Promise<void>;
  destroy(): Promise<void>;
}

export class Machine {
  private readonly input: Uint8Array[] = [];
  private pumping = false;
  private compiling: boolean | undefined;
  private slices = 0;
  private busySince: number | undefined;
  private idleSince: number | undefined;
  /** Through the agent's port, since the last long pause. */
  private movedBytes = 0;
  private ended = false;
  private paused: Promise<void> = Promise.resolve();

  private constructor(
    private readonly emulator: Emulator,
    private readonly memoryMb: number,
    private readonly setJitConfig: (index: number, value: number) => void,
    private readonly boxDisk: V86Disk,
    private readonly events: MachineEvents,
  ) {}

  /** Makes a machine that does not run yet. The caller has verified all parts. */
  static async create(parts: MachineParts, events: MachineEvents): Promise<Machine> {
    const loaded = deferred<void>();
    const { cold } = parts;
    let setJitConfig!: (index: number, value: number) => void;
    // v86 reads the first disk while it is being made.
    let machine: Machine | undefined;
    const onDiskFailure = (error: unknown) => (machine ? machine.failDisk(error) : loaded.reject(error));
    const boxDisk = new V86Disk(parts.disk, onDiskFailure);
    const emulator = new V86({
      wasm_fn: async (env: WebAssembly.Imports) => {
        const { exports } = await WebAssembly.instantiate(parts.emulator, env);
        setJitConfig = exports["set_jit_config"] as typeof setJitConfig;
        // One page a module was measured to be the fastest.
        setJitConfig(JIT_MAX_PAGES, 1);
        return exports;
      },
      memory_size: parts.memoryMb * 2 ** 20,
      vga_memory_size: VGA_BYTES,
      hda: new V86Disk(parts.base, onDiskFailure),
      hdb: boxDisk,
      net_device: { type: "virtio" },
      filesystem: { handle9p: refuse9p },
      virtio_console: true,
      virtio_balloon: true,
      acpi: false,
      disable_keyboard: true,
      disable_mouse: true,
      disable_speaker: true,
      autostart: false,
      ...(cold && {
        bios: { buffer: ownBuffer(cold.bios) },
        vga_bios: { buffer: ownBuffer(cold.vgaBios) },
        bzimage: { buffer: ownBuffer(cold.kernel) },
        initrd: { buffer: ownBuffer(cold.initramfs) },
        cmdline: cold.cmdline,
      }),
    } as never) as unknown as Emulator;
    emulator.add_listener("emulator-loaded", () => loaded.resolve());
    const deadline = setTimeout(
      () => loaded.reject(new Error(`the emulator did not start within ${INIT_DEADLINE_MS} ms`)),
      INIT_DEADLINE_MS,
    );
    await loaded.promise.finally(() => clearTimeout(deadline));

    machine = new Machine(emulator, parts.memoryMb, setJitConfig, boxDisk, events);
    machine.connect();
    return machine;
  }

  /** Makes a machine that never ran the one of the snapshot. */
  async restore(snapshot: Snapshot): Promise<void> {
    const cpu = this.emulator.v86.cpu;
    // Memory is new and all zero. v86 would write zeroes to all of it first, which makes the host commit every page.
    cpu.unpack_memory = () => unpackPages(snapshot, cpu.mem8.subarray(0, this.memoryMb * 2 ** 20));
    await this.emulator.restore_state(snapshot.state.buffer as ArrayBuffer);
  }

  /** Replaces the box's disk by one with the same contents. Nothing may be under way on the one before, which is never so on a disk in memory. */
  useDisk(disk: MachineDisk): void {
    this.boxDisk.disk = disk;
  }

  async run(): Promise<void> {
    await this.emulator.run();
  }

  /** Queues bytes for the agent. What the guest has no room for waits here; credit bounds how much that is. */
  send(bytes: Uint8Array): void {
    this.input.push(bytes);
    this.movedBytes += bytes.byteLength;
    this.pump();
  }

  /** The machine as it is now, to be restored later. It runs on afterwards. */
  async save(): Promise<Pick<Snapshot, "memoryMb" | "state" | "pieces" | "continued">> {
    await this.emulator.stop();
    const cpu = this.emulator.v86.cpu;
    cpu.pack_memory = () => ({
      packed_memory: new Uint8Array(0),
      bitmap: { get_buffer: () => new ArrayBuffer(4) },
    });
    const state = new Uint8Array(await this.emulator.save_state());
    const memory = cpu.mem8.subarray(0, this.memoryMb * 2 ** 20);
    const packed = packPages(memory, (page) => cpu.is_memory_zeroed(page * PAGE_BYTES, PAGE_BYTES) !== 0);
    await this.emulator.run();
    return { memoryMb: this.memoryMb, state, ...packed };
  }

  /** Stands still until {@link resume}: for the guest no time goes by. */
  pause(): Promise<void> {
    this.paused = this.paused.then(async () => {
      await this.emulator.stop();
      this.emulator.v86.cpu.store_current_tsc();
    });
    return this.paused;
  }

  resume(): Promise<void> {
    this.paused = this.paused.then(async () => {
      if (this.ended) return;
      const { cpu } = this.emulator.v86;
      cpu.set_tsc(cpu.current_tsc[0]!, cpu.current_tsc[1]!);
      await this.emulator.run();
    });
    return this.paused;
  }

  async stop(): Promise<void> {
    this.ended = true;
    await this.emulator.stop();
  }

  /** The guest would wait for ever, or go on without what it wrote. */
  private failDisk(error: unknown): void {
    if (this.ended) return;
    void this.stop();
    this.events.onFailure(error);
  }

  private connect(): void {
    const { v86 } = this.emulator;
    const { events } = this;
    const port = v86.cpu.devices.virtio_console;
    // The guest makes a port a terminal when it is told that it is a console; without that it is a raw byte channel.
    const sendEvent = port.SendEvent;
    port.SendEvent = (number, event, value) => {
      if (number !== 0 && event === CONSOLE_PORT_EVENT) return;
      sendEvent.call(port, number, event, value);
    };
    mendDrives(v86.cpu.devices.ide.primary.master);
    const end = (reason: string) => {
      if (this.ended) return;
      this.ended = true;
      events.onEnd(reason);
    };
    v86.cpu.reboot_internal = () => {
      void this.emulator.stop();
      end("the guest's kernel reset the machine");
    };
    this.emulator.add_listener("cpu-event-halt", () => end("the guest's kernel halted"));
    this.emulator.add_listener("serial0-output-byte", events.onConsole);
    this.emulator.add_listener(`virtio-console${AGENT_PORT}-output-bytes`, (bytes: Uint8Array) => {
      this.movedBytes += bytes.byteLength;
      events.onOutput(bytes);
    });

    v86.unregister_yield();
    const schedule = tickScheduler();
    v86.yield = (ms, tick) => {
      this.chooseCompiling(ms > 0);
      schedule(ms, () => this.runSlice(tick));
      // After it: the guest may be woken by what it gets, which schedules the next tick, and the last one to be scheduled is the one that counts.
      this.pump();
    };
  }

  /** v86 ends in a trap what it cannot emulate, as what a guest's kernel does after it has asked for a reset. */
  private runSlice(tick: number): void {
    try {
      this.emulator.v86.yield_callback(tick);
    } catch (error) {
      if (this.ended) return;
      this.ended = true;
      this.events.onFailure(error);
    }
  }

  private chooseCompiling(idle: boolean): void {
    const now = performance.now();
    if (idle) {
      this.idleSince ??= now;
      this.busySince = undefined;
    } else {
      if (this.idleSince !== undefined && now - this.idleSince > LONG_PAUSE_MS) this.movedBytes = 0;
      this.idleSince = undefined;
      this.busySince ??= now;
    }
    const busyMs = this.busySince === undefined ? 0 : now - this.busySince;
    this.slices++;
    const compiling =
      busyMs > COMPILE_AFTER_BUSY_MS ||
      this.movedBytes > COMPILE_AFTER_BYTES ||
      this.slices % COMPILE_IN_ONE_SLICE_OF === 0;
    if (compiling === this.compiling) return;
    this.compiling = compiling;
    this.setJitConfig(JIT_DISABLED, compiling ? 0 : 1);
  }

  private pump(): void {
    const port = this.emulator.v86.cpu.devices.virtio_console;
    const queue = port.virtio.queues[AGENT_RX_QUEUE]!;
    // Handing over a buffer may wake an idle machine, which comes back here before the loop below has moved on.
    if (this.pumping || this.input.length === 0 || !queue.is_configured()) return;
    this.pumping = true;
    let sent = 0;
    let offset = 0;
    while (sent < this.input.length && queue.has_request()) {
      const bytes = this.input[sent]!;
      const end = Math.min(bytes.byteLength, offset + RX_BUFFER_BYTES);
      const buffer = queue.pop_request();
      buffer.set_next_blob(bytes.subarray(offset, end));
      queue.push_reply(buffer);
      offset = end;
      if (offset === bytes.byteLength) {
        sent++;
        offset = 0;
      }
    }
    // One interrupt for all of them.
    queue.flush_replies();
    this.input.splice(0, sent);
    if (offset > 0) this.input[0] = this.input[0]!.subarray(offset);
    this.pumping = false;
  }
}

/** Answers every 9p request with "not supported": the device is there for snapshots that a later version uses it in. */
function refuse9p(request: Uint8Array, reply: (response: Uint8Array) => void): void {
  const RLERROR = 7;
  const EOPNOTSUPP = 95;
  const response = new Uint8Array(11);
  const view = new DataView(response.buffer);
  view.setUint32(0, 11, true);
  response[4] = RLERROR;
  response[5] = request[5] ?? 0;
  response[6] = request[6] ?? 0;
  view.setUint32(7, EOPNOTSUPP, true);
  reply(response);
}

function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
