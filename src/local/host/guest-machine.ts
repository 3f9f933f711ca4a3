import { BoxRunError } from "../../backend/errors.js";
import type { ImageTrouble } from "../assets/image-chunks.js";
import { Guest } from "../guest/guest.js";
import { runCommand } from "../guest/run-command.js";
import type { Host } from "./host.js";
import { MachineHandle } from "./machine-handle.js";

/** Receiver of a machine's events. */
export interface MachineOwner {
  /** Reports compressed bytes of assets that have arrived. */
  onLoaded(bytes: number): void;
  /** Reports that the assets have arrived and the machine starts. */
  onStarting(): void;
  /** Reports that the guest cannot read a part of the image, or can again. */
  onTrouble(trouble: ImageTrouble): void;
  /** Reports, once, that the machine has ended without having been asked to. */
  onEnded(error: BoxRunError): void;
}

const NOBODY: MachineOwner = {
  onLoaded: () => {},
  onStarting: () => {},
  onTrouble: () => {},
  onEnded: () => {},
};

/** A machine in its Worker, and the guest in it. It begins without an owner, and may change owners. */
export class GuestMachine {
  readonly guest: Guest;
  readonly handle: MachineHandle;
  owner: MachineOwner = NOBODY;
  /** Called with the guest's IPv4 packets, after `handle.openNetwork()`. */
  onPackets: (packets: Uint8Array[]) => void = () => {};
  /** True when it was started before anybody asked for it. */
  warm = false;
  private readonly warmUpAbort = new AbortController();
  private warmUps: Promise<unknown> = Promise.resolve();

  constructor(host: Host) {
    this.guest = new Guest((bytes) => this.handle.send(bytes));
    this.handle = new MachineHandle(host, {
      onOutput: (bytes) => this.guest.receive(bytes),
      onPackets: (packets) => this.onPackets(packets),
      onLoaded: (bytes) => this.owner.onLoaded(bytes),
      onStarting: () => this.owner.onStarting(),
      onResumed: () => this.guest.setClock(),
      onTrouble: (trouble) => this.owner.onTrouble(trouble),
      onEnded: (error) => {
        // Pending work may have been done in part, whatever the reason.
        this.guest.lose(new BoxRunError(error.code, error.message, { cause: error.cause }));
        this.owner.onEnded(error);
      },
    });
  }

  /** Runs commands before there is a box, one after the other, to have their files in memory. Failures are ignored. */
  warmUp(commands: Iterable<readonly string[]>): Promise<void> {
    const run = async () => {
      for (const cmd of commands) {
        if (this.warmUpAbort.signal.aborted) return;
        await runCommand(this.guest, cmd, this.warmUpAbort.signal).catch(() => {});
      }
    };
    const warmUps = run();
    this.warmUps = warmUps;
    return warmUps;
  }

  /** Kills the commands of {@link warmUp} that still run. Resolves when none does. */
  async endWarmUp(): Promise<void> {
    this.warmUpAbort.abort();
    await this.warmUps;
  }
}
