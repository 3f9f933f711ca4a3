import type { BoxRunError } from "../errors.js";
import { Guest } from "./guest/guest.js";
import type { Host } from "./host.js";
import { MachineHandle } from "./machine-handle.js";

/** Who has a machine hears this from it. */
export interface MachineOwner {
  /** So many compressed bytes of assets have come. */
  onLoaded(bytes: number): void;
  /** Assets are there and the machine starts. */
  onStarting(): void;
  /** The machine has ended, and not because it was asked to. Called once. */
  onEnded(error: BoxRunError): void;
}

const NOBODY: MachineOwner = { onLoaded: () => {}, onStarting: () => {}, onEnded: () => {} };

/** A machine in its Worker, and the guest in it. It begins with no owner, and may come from one to the next. */
export class GuestMachine {
  readonly guest: Guest;
  readonly handle: MachineHandle;
  owner: MachineOwner = NOBODY;
  /** It was started before anybody asked for it. */
  warm = false;

  constructor(host: Host) {
    this.guest = new Guest((bytes) => this.handle.send(bytes));
    this.handle = new MachineHandle(host, {
      onOutput: (bytes) => this.guest.receive(bytes),
      onLoaded: (bytes) => this.owner.onLoaded(bytes),
      onStarting: () => this.owner.onStarting(),
      onEnded: (error) => {
        this.guest.lose(error);
        this.owner.onEnded(error);
      },
    });
  }
}
