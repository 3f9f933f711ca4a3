/**
 * One emulated machine. This is the only file that imports v86, and the only one that uses its internals: v86's public API has no console
 * ports with back-pressure, no restore that spares memory and no notification of a reset, so all of that is here, for
 * the one version that package.json pins. The disks that v86 calls are in v86-disk.ts.
 */
import { V86 } from "v86";
import { deferred } from "../../util/deferred.js";
import { type BootImage, PAGE_BYTES, packPages, unpackPages } from "./boot-image.js";
import type { MachineDisk } from "./disk.js";
import { tickScheduler } from "./tick-scheduler.js";
import { type Drive, mendDrives, V86Disk } from "./v86-disk.js";
import { MAX_PACKET_BYTES, type NetworkCard, V86Network } from "./v86-network.js";
import { GuestInput, type VirtQueue } from "./v86-queue.js";

/** Part of a boot image's fingerprint. Must change when the set of devices below does. */
export const DEVICE_SET = "console,net-virtio-mtu32000-csum,9p,balloon,hda,hdb,serial,no-acpi/1";

/** The agent's port among the four of the virtio console, and its queue from host to guest. */
const AGENT_PORT = 1;
const AGENT_RX_QUEUE = 2 * AGENT_PORT + 2;
/** Size of the guest's posted buffers. Data beyond it in one message would be lost. */
const RX_BUFFER_BYTES = 4096;
const CONSOLE_PORT_EVENT = 4;

/** Display memory: as small as the device allows, since nothing draws. */
const VGA_BYTES = 1 << 20;
/** Indices of v86's `set_jit_config`: 1 disables the JIT; the other sets how many guest pages one compiled module may cover. */
const JIT_DISABLED = 0;
const JIT_MAX_PAGES = 1;
/**
 * Compiling code that runs once costs several times as much as interpreting it, and short commands mostly consist of such code: process start-up.
 * So hot code is compiled in one slice of emulation in five, which makes repeated commands fast without slowing down the
 * first ones; and in every slice once the guest has been busy for so long without a pause, or has moved so much through its port
 * without a long pause. Measured in docs/internals/performance.md.
 */
const COMPILE_IN_ONE_SLICE_OF = 5;
const COMPILE_AFTER_BUSY_MS = 250;
const COMPILE_AFTER_BYTES = 256 * 1024;
const LONG_PAUSE_MS = 20;

/** Time from construction to the last of v86's own start-up events. Errors in these are thrown from timers, where nobody can catch them. */
const INIT_DEADLINE_MS = 30_000;

/** Parts that a cold boot needs beside the disks. */
export interface ColdBoot {
  kernel: Uint8Array;
  initramfs: Uint8Array;
  bios: Uint8Array;
  vgaBios: Uint8Array;
  cmdline: string;
}

/** All parts of a machine. */
export interface MachineParts {
  emulator: WebAssembly.Module;
  memoryMb: number;
  base: MachineDisk;
  disk: MachineDisk;
  /** Absent: the machine is restored from a boot image before it runs. */
  cold?: ColdBoot;
  /** Answers a request of 9P, once, at once or later. */
  serve9p(request: Uint8Array, reply: (answer: Uint8Array) => void): void;
}

/** Receiver of the events of a machine. */
export interface MachineEvents {
  /** Takes bytes from the agent. The array belongs to the receiver. */
  onOutput(bytes: Uint8Array): void;
  /** Takes an IPv4 packet that the guest has sent, in a buffer of its own, which belongs to the receiver. */
  onPacket(packet: Uint8Array): void;
  /** Takes one byte of the kernel's serial console. */
  onConsole(byte: number): void;
  /** Reports that the guest has reset itself, or halted for good: a kernel panic, `reboot`, `poweroff`. */
  onEnd(reason: string): void;
  /** Reports that a disk failed to read or write and does not tolerate that ({@link MachineDisk.onUnreadable}). The machine has stopped. */
  onFailure(error: unknown): void;
}

/** The internals of v86 that are used here. */
interface Cpu {
  mem8: Uint8Array;
  devices: { virtio_console: VirtioConsole; virtio_net: NetworkCard; ide: { primary: { master: Drive } } };
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
  private readonly input: GuestInput;
  private readonly network: V86Network;
  private compiling: boolean | undefined;
  private slices = 0;
  private busySince: number | undefined;
  private idleSince: number | undefined;
  /** Bytes that went through the agent's port and the network card since the last long pause. */
  private movedBytes = 0;
  private ended = false;
  private paused: Promise<void> = Promise.resolve();

  private constructor(
    private readonly emulator: Emulator,
    private readonly memoryMb: number,
    private readonly setJitConfig: (index: number, value: number) => void,
    private readonly boxDisk: V86Disk,
    private readonly events: MachineEvents,
  ) {
    const { virtio_console, virtio_net } = emulator.v86.cpu.devices;
    this.input = new GuestInput(() => virtio_console.virtio.queues[AGENT_RX_QUEUE]!, RX_BUFFER_BYTES);
    this.network = new V86Network(virtio_net, emulator, (packet) => {
      this.movedBytes += packet.byteLength;
      events.onPacket(packet);
    });
  }

  /** Creates a machine that does not run yet. The caller has verified all parts. */
  static async create(parts: MachineParts, events: MachineEvents): Promise<Machine> {
    const loaded = deferred<void>();
    const { cold } = parts;
    let setJitConfig!: (index: number, value: number) => void;
    // v86 reads the first disk during construction.
    let machine: Machine | undefined;
    const onDiskFailure = (error: unknown) => (machine ? machine.failDisk(error) : loaded.reject(error));
    const boxDisk = new V86Disk(parts.disk, onDiskFailure);
    const emulator = new V86({
      wasm_fn: async (env: WebAssembly.Imports) => {
        const { exports } = await WebAssembly.instantiate(parts.emulator, env);
        setJitConfig = exports["set_jit_config"] as typeof setJitConfig;
        // One page per module was measured to be the fastest.
        setJitConfig(JIT_MAX_PAGES, 1);
        return exports;
      },
      memory_size: parts.memoryMb * 2 ** 20,
      vga_memory_size: VGA_BYTES,
      hda: new V86Disk(parts.base, onDiskFailure),
      hdb: boxDisk,
      net_device: { type: "virtio", mtu: MAX_PACKET_BYTES },
      // A guest keeps the address of its card when it is restored.
      preserve_mac_from_state_image: true,
      filesystem: {
        handle9p: (request: Uint8Array, reply: (answer: Uint8Array) => void) =>
          parts.serve9p(request, (answer) => {
            // A guest that moves files is as busy as one that moves packets.
            if (machine) machine.movedBytes += request.byteLength + answer.byteLength;
            reply(answer);
          }),
      },
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

  /** Restores a boot image into a machine that has never run. */
  async restore(bootImage: BootImage): Promise<void> {
    const cpu = this.emulator.v86.cpu;
    // New memory is all zero. v86 would write zeroes to all of it first, which makes the host commit every page.
    cpu.unpack_memory = () => unpackPages(bootImage, cpu.mem8.subarray(0, this.memoryMb * 2 ** 20));
    await this.emulator.restore_state(bootImage.state.buffer as ArrayBuffer);
  }

  /** Replaces the box's disk by one with the same contents. The old one must have no pending operation, which a disk in memory never has. */
  useDisk(disk: MachineDisk): void {
    this.boxDisk.disk = disk;
  }

  async run(): Promise<void> {
    await this.emulator.run();
  }

  /** Queues bytes for the agent. Bytes that the guest has no room for wait here; credit bounds their number. */
  send(bytes: Uint8Array): void {
    this.input.push(bytes);
    this.movedBytes += bytes.byteLength;
    this.input.pump();
  }

  /** Queues IP packets for the guest. */
  sendPackets(packets: Uint8Array[]): void {
    for (const packet of packets) this.movedBytes += packet.byteLength;
    this.network.send(packets);
  }

  /** Saves the state of the machine, which goes on running afterwards. */
  async save(): Promise<Pick<BootImage, "memoryMb" | "state" | "pieces" | "continued">> {
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

  /** Pauses the machine until {@link resume}: no time passes for the guest. */
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

  /** Stops the machine, which would otherwise wait forever, or go on without the data that it wrote. */
  private failDisk(error: unknown): void {
    if (this.ended) return;
    void this.stop();
    this.events.onFailure(error);
  }

  private connect(): void {
    const { v86 } = this.emulator;
    const { events } = this;
    const port = v86.cpu.devices.virtio_console;
    // The guest turns a port into a terminal when it is told that it is a console; otherwise it is a raw byte channel.
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
      // Only afterwards: the data may wake the guest, which schedules the next tick, and only the last scheduled tick counts.
      this.pump();
    };
  }

  /** Handles a trap, by which v86 ends code that it cannot emulate, such as the guest's kernel after it has asked for a reset. */
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

  /** Hands over what the guest has buffers for. */
  private pump(): void {
    this.input.pump();
    this.network.pump();
  }
}

function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
