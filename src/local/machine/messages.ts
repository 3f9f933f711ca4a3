import type { ImageTrouble } from "../assets/image-chunks.js";
import type { MachinePlaces } from "../assets/joined-source.js";
import type { AssetManifest } from "../assets/manifest.js";
import type { ToOriginal, ToReplica } from "../volumes/tree-messages.js";
import type { VolumeAnswer, VolumeCall } from "../volumes/volume-calls.js";

/** Parameters of a machine. */
export interface MachineConfig extends MachinePlaces {
  /** Name of the image in the manifest. */
  image: string;
  memoryMb: number;
  /** Name of the file system template that the box's disk begins with; null: the disk has been used before. */
  disk: string | null;
  /** Size of the file system that the box asked for. */
  diskBytes: number;
  manifest: AssetManifest;
  /** Folder for fetched assets, where the browser does not cache them. */
  cache?: string;
  /** Whether this is a boot of the build: never from a boot image, and with freed memory zeroed so that a boot image of it is small. */
  forBootImage?: boolean;
  /** Warnings about the image, known before the start. */
  notes?: string[];
}

/** Place of the box's disk. It is sent once the box is locked. */
export interface DiskConfig {
  /** Location by which the host opens it; null: in memory, with `contents` as a template if it had some before. */
  location: string | null;
  contents?: Uint8Array;
  durability: "relaxed" | "strict";
}

/** A volume to serve to the guest. */
export type VolumeConfig = DirectoryConfig | { source: "memory" | "folder"; readonly: boolean };

/** A directory of the host to serve to the guest. */
export interface DirectoryConfig {
  /** Absolute path on the host. */
  hostPath: string;
  readonly: boolean;
  /** Directories of the host, one of which it must be in or be. Absent: anywhere. */
  within?: readonly string[];
}

/** Messages from the owner of a machine to its Worker. Plain bytes are for the agent. */
export type ToMachine =
  | Uint8Array
  | { type: "start"; config: MachineConfig }
  | ({ type: "disk" } & DiskConfig)
  /** Replaces the disk in memory by another one with the same contents. */
  | ({ type: "move" } & DiskConfig)
  /** The compiled emulator, which all machines of a page or process share. It is a message of its own so that assets load while it compiles. */
  | { type: "emulator"; module: WebAssembly.Module }
  /** Requests a boot image: with its disk for new boxes, without it for any. */
  | { type: "save"; withDisk: boolean }
  /** Reports that so much of the agent's output was consumed. */
  | { type: "took"; bytes: number }
  /** Asks for the packets that the guest sends. Until then they are dropped. */
  | { type: "network" }
  /** IP packets for the guest. Those that it has no buffer for wait, and beyond a bound the oldest are dropped. */
  | { type: "packets"; packets: Uint8Array[] }
  /** Reports that so many bytes of the guest's packets were consumed, as {@link packetCost} counts them. */
  | { type: "took-packets"; bytes: number }
  /** Opens volumes, in this order. Until then, the guest has none. Those in memory come by messages of their own. */
  | { type: "volumes"; volumes: readonly VolumeConfig[] }
  /** Does something with a path in a volume, for `box.files`. Answered once. */
  | { type: "volume-call"; id: number; call: VolumeCall }
  /** Passes a message to the replica of a volume in memory, by its place in the list. */
  | { type: "tree"; volume: number; message: ToReplica }
  /** Pauses the machine and its time. */
  | { type: "pause" }
  | { type: "resume" }
  /** Ends the machine and closes its disk. The guest has been shut down. */
  | { type: "stop" }
  /** Closes the disk, whatever the machine does, since the Worker is about to be ended. */
  | { type: "leave" };

/** Messages from a machine's Worker to its owner. A list of bytes is from the agent. */
export type FromMachine =
  | Uint8Array[]
  /** IPv4 packets that the guest has sent, each in a buffer of its own. The checksums of those that it left to its network card are not filled in. */
  | { type: "packets"; packets: Uint8Array[] }
  /** Reports, first of all, that the Worker's script runs. Only in pages, where it may be refused. */
  | { type: "here" }
  /** Compressed bytes of assets that have arrived since the last such message. */
  | { type: "loaded"; bytes: number }
  | { type: "starting" }
  | { type: "started"; boot: "snapshot" | "cold"; warnings: string[] }
  | { type: "moved" }
  /** Passes a message of the replica of a volume in memory, by its place in the list. */
  | { type: "tree"; volume: number; message: ToOriginal }
  /** Reports that the volumes are open, or why one is not. */
  | { type: "volumes"; failure?: { code: string; message: string } }
  | { type: "volume-answer"; id: number; answer: VolumeAnswer }
  | { type: "saved"; bootImage: Uint8Array }
  | { type: "left" }
  /** Reports that the machine was stopped, with the contents of a disk in memory. */
  | { type: "stopped"; contents: Uint8Array | null }
  /** Text that the guest's kernel printed; if it is much at once, the end of it. */
  | { type: "console"; bytes: Uint8Array }
  /** Reports that the machine goes on after a time in which its owner did not take its output. */
  | { type: "resumed" }
  /** Reports that the guest cannot read a part of the image and gets input/output errors, or can read it again. */
  | { type: "trouble"; trouble: ImageTrouble }
  /** Reports that the machine has ended by itself. */
  | { type: "ended"; code: string; message: string; retryable: boolean };

/** Least that a packet counts for: about what one in a buffer of its own takes, however small it is. */
const MIN_PACKET_COST = 512;

/** Returns the number of bytes that a packet counts for while it waits for its owner. */
export function packetCost({ byteLength }: Uint8Array): number {
  return Math.max(byteLength, MIN_PACKET_COST);
}
