import type { ImageTrouble } from "../assets/image-chunks.js";
import type { AssetManifest } from "../assets/manifest.js";

/** What a machine is to be. */
export interface MachineConfig {
  /** The image's name in the manifest. */
  image: string;
  memoryMb: number;
  /** The name of the file system template that the box's disk begins with; null: the disk has been used before. */
  disk: string | null;
  /** The size of the file system that the box asked for. */
  diskBytes: number;
  manifest: AssetManifest;
  /** Where the assets are: a URL. */
  assets: string;
  /** The folder to keep in what is fetched, where that is not the browser's business. */
  cache?: string;
  /** The build's own boots: never from a snapshot, and with freed memory zeroed so that a snapshot of it is small. */
  forSnapshot?: boolean;
}

/** Where the box's disk is: sent once the box is locked. */
export interface DiskConfig {
  /** What the host opens it by; null: in memory, with `contents` as a template where it had some before. */
  location: string | null;
  contents?: Uint8Array;
  durability: "relaxed" | "strict";
}

/** From the owner of a machine to its Worker. Plain bytes are for the agent. */
export type ToMachine =
  | Uint8Array
  | { type: "start"; config: MachineConfig }
  | ({ type: "disk" } & DiskConfig)
  /** Another disk instead of the one in memory, with all that is there. */
  | ({ type: "move" } & DiskConfig)
  /** The compiled emulator: one for all machines of a page or process. Apart, so that assets load while it compiles. */
  | { type: "emulator"; module: WebAssembly.Module }
  /** With its disk: a snapshot for new boxes; without: for any. */
  | { type: "save"; withDisk: boolean }
  /** So much of the agent's output has been taken in. */
  | { type: "took"; bytes: number }
  /** Its time stands still, or goes on. */
  | { type: "pause" }
  | { type: "resume" }
  /** Ends the machine and closes its disk. The guest has been shut down. */
  | { type: "stop" }
  /** Lets go of the disk, whatever the machine does: its Worker is about to be ended. */
  | { type: "leave" };

/** From a machine's Worker to its owner. A list of bytes is from the agent. */
export type FromMachine =
  | Uint8Array[]
  /** Compressed bytes of assets that have come since the last such message. */
  | { type: "loaded"; bytes: number }
  | { type: "starting" }
  | { type: "started"; boot: "snapshot" | "cold"; warnings: string[] }
  | { type: "moved" }
  | { type: "saved"; snapshot: Uint8Array }
  | { type: "left" }
  /** With the contents of a disk in memory. */
  | { type: "stopped"; contents: Uint8Array | null }
  /** What the guest's kernel prints; of much at once the last. */
  | { type: "console"; bytes: Uint8Array }
  /** It goes on after a time in which its owner took no output. */
  | { type: "resumed" }
  /** The guest cannot read part of the image, for it an input/output error, or can again. */
  | { type: "trouble"; trouble: ImageTrouble }
  /** The machine has ended by itself. */
  | { type: "ended"; code: string; message: string; retryable: boolean };
