import type { BoxSpec } from "../../backend/backend.js";
import { DEFAULT_DISK_GB, DEFAULT_MEMORY_MB } from "../../contract/schemas.js";
import { startTimer } from "../../util/timer.js";
import { GuestMachine } from "../host/guest-machine.js";
import type { Host } from "../host/host.js";
import type { MachineConfig } from "../machine/messages.js";
import { requireMemory } from "./capabilities.js";
import type { WarmBoxes } from "./options.js";

/**
 * Number of processes that are run first, so that the engine compiles the emulator, and the emulator the guest's code for starting a process. The first command
 * of a box is then as fast as its twentieth.
 */
const WARM_UP = 12;
const PAUSE_MS = 500;
/** Longest pause after machines that could not be started, for lack of a network, say. The pause doubles each time. */
const LONGEST_PAUSE_MS = 60_000;

type Kind = WarmBoxes & Required<Omit<WarmBoxes, "warmUp">>;

/** Parameters with which a machine is started. */
export interface MachineStart {
  config: MachineConfig;
  emulator: Promise<WebAssembly.Module>;
}

/** Machines that are kept ready: started, on a disk in memory, and without an owner. */
export class WarmPool {
  private readonly kinds: Kind[];
  private readonly waiting = new Map<Kind, Set<GuestMachine>>();
  private closed = false;
  private stopTimer: () => void = () => {};
  private failures = 0;

  /**
   * `freeMb` returns the memory that no box has; `startOf` finds the parameters for a new box of this image and memory.
   *
   * @throws {BoxRunError} VALIDATION_ERROR
   */
  constructor(
    private readonly host: Host,
    kinds: readonly WarmBoxes[],
    private readonly freeMb: () => number,
    private readonly startOf: (image: string, memoryMb: number) => Promise<MachineStart>,
  ) {
    this.kinds = kinds.map((kind) => ({
      ...kind,
      memoryMb: kind.memoryMb ?? DEFAULT_MEMORY_MB,
      count: kind.count ?? 1,
    }));
    for (const { memoryMb } of this.kinds) requireMemory(memoryMb);
    this.fill();
  }

  /** Takes a machine for a new box of this kind, which may still be starting. The caller must end it. Undefined when there is none. */
  take({ image, memoryMb, diskSizeGb }: BoxSpec): GuestMachine | undefined {
    if (diskSizeGb !== DEFAULT_DISK_GB) return;
    const kind = this.kinds.find((one) => one.image === image && one.memoryMb === memoryMb);
    const machines = kind && this.waiting.get(kind);
    for (const machine of machines ?? []) {
      machines?.delete(machine);
      return machine;
    }
    return;
  }

  /** Ends machines whose memory boxes need. */
  evict(): void {
    for (const machines of this.waiting.values()) {
      for (const machine of machines) {
        if (this.takenMb() <= this.freeMb()) return;
        this.drop(machine, machines);
      }
    }
  }

  /** Starts missing machines that fit, after a moment: the box that has just been created has its first commands to run. */
  fillSoon(): void {
    this.stopTimer();
    const pauseMs = Math.min(PAUSE_MS * 2 ** this.failures, LONGEST_PAUSE_MS);
    if (!this.closed) this.stopTimer = startTimer(pauseMs, () => this.fill());
  }

  private fill(): void {
    if (this.closed) return;
    for (const kind of this.kinds) {
      const machines = this.waiting.get(kind) ?? new Set();
      this.waiting.set(kind, machines);
      while (machines.size < kind.count && this.takenMb() + kind.memoryMb <= this.freeMb()) {
        this.add(kind, machines);
      }
    }
  }

  private takenMb(): number {
    let sum = 0;
    for (const [{ memoryMb }, machines] of this.waiting) sum += memoryMb * machines.size;
    return sum;
  }

  private add(kind: Kind, machines: Set<GuestMachine>): void {
    const machine = new GuestMachine(this.host);
    machines.add(machine);
    // A failure is reported to whoever creates a box; here nobody waits yet.
    const failed = () => {
      if (!machines.has(machine)) return;
      this.drop(machine, machines);
      this.failures++;
      this.fillSoon();
    };
    // A machine that cannot read its image is useless, and would not report that a second time.
    machine.owner = { ...machine.owner, onTrouble: failed, onEnded: failed };
    this.warmUp(kind, machine).catch(failed);
  }

  private drop(machine: GuestMachine, machines: Set<GuestMachine>): void {
    machines.delete(machine);
    void machine.handle.kill();
  }

  private async warmUp(kind: Kind, machine: GuestMachine): Promise<void> {
    const { config, emulator } = await this.startOf(kind.image, kind.memoryMb);
    const mine = () => this.waiting.get(kind)?.has(machine);
    // If it was taken in the meantime, its new owner starts it.
    if (!mine()) return;
    machine.warm = true;
    const started = machine.handle.start(config, emulator);
    await machine.handle.giveDisk({ location: null, durability: "relaxed" });
    const { boot } = await started;
    this.failures = 0;
    if (boot === "cold") return;
    const trues = Array.from({ length: WARM_UP }, () => ["true"]);
    await machine.warmUp(kind.warmUp ? [...trues, kind.warmUp] : trues);
  }

  /** Ends all machines that nobody has taken. */
  async close(): Promise<void> {
    this.closed = true;
    this.stopTimer();
    const machines = [...this.waiting.values()].flatMap((some) => [...some]);
    this.waiting.clear();
    await Promise.all(machines.map((machine) => machine.handle.kill()));
  }
}
