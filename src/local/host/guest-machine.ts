import { BoxRunError } from "../../backend/errors.js";
import type { ImageTrouble } from "../assets/image-chunks.js";
import { Guest } from "../guest/guest.js";
import { runCommand } from "../guest/run-command.js";
import type { Host } from "./host.js";
import { MachineHandle } from "./machine-handle.js";

/** Who has a machine hears this from it. */
export interface MachineOwner {
  /** So many compressed bytes of assets have come. */
  onLoaded(bytes: number): void;
  /** Assets are there and the machine starts. */
  onStarting(): void;
  /** Tells that the guest cannot read part of the image, or can again. */
  onTrouble(trouble: ImageTrouble): void;
  /** The machine has ended, and not because it was asked to. Called once. */
  onEnded(error: BoxRunError): void;
}

const NOBODY: MachineOwner = {
  onLoaded: () => {},
  onStarting: () => {},
  onTrouble: () => {},
  onEnded: () => {},
};

/** A machine in its Worker, and the guest in it. It begins with no owner, and may come from one to the next. */
export class GuestMachine {
  readonly guest: Guest;
  readonly handle: MachineHandle;
  owner: MachineOwner = NOBODY;
  /** It was started before anybody asked for it. */
  warm = false;
  private readonly warmUpAbort = new AbortController();
  private warmUps: Promise<unknown> = Promise.resolve();

  constructor(host: Host) {
    this.guest = new Guest((bytes) => this.handle.send(bytes));
    this.handle = new MachineHandle(host, {
      onOutput: (bytes) => this.guest.receive(bytes),
      onLoaded: (bytes) => this.owner.onLoaded(bytes),
      onStarting: () => this.owner.onStarting(),
      onResumed: () => this.guest.setClock(),
      onTrouble: (trouble) => this.owner.onTrouble(trouble),
      onEnded: (error) => {
        // What was under way may have been done in part, whatever the reason.
        this.guest.lose(new BoxRunError(error.code, error.message, { cause: error.cause }));
        this.owner.onEnded(error);
      },
    });
  }

  /** Runs commands before there is a box, one after the other, to have what they need in memory. Those that fail do not matter. */
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

  /** Kills what still runs of {@link warmUp}. Resolves when nothing does. */
  async endWarmUp(): Promise<void> {
    this.warmUpAbort.abort();
    await this.warmUps;
  }
}
