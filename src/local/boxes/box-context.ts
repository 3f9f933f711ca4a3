import type { CreateProgress, Secrets, VolumeSource } from "../../backend/backend.js";
import type { BoxStore } from "../store/box-store.js";
import type { BoxRecord } from "../store/record.js";
import type { VolumeBounds } from "./box-volumes.js";
import type { NetworkContext } from "./local-network.js";

/** The parts of the backend that its boxes use. */
export interface BoxContext {
  store: BoxStore;
  logLimitBytes: number;
  durability: "relaxed" | "strict";
  /** Directories of the host that boxes may have. */
  volumes: VolumeBounds;
  /** Way out of boxes that have a network. Absent where there is none. */
  network: NetworkContext | undefined;
  isPaused(): boolean;
  /** Called when the visible state of the box has changed. */
  onChanged(): void;
  /** Called once when the machine has ended and the lock is released. `unwritten` is the box's record, if there was no room to store it. */
  onEnded(unwritten?: BoxRecord): void;
}

/** Options of {@link LocalBox.boot}. */
export interface BootOptions {
  onProgress(progress: CreateProgress): void;
  /** Called with the number of bytes of each asset that is loaded. */
  onLoaded(bytes: number): void;
  /** Secrets of the box, which nothing but its network ever has. */
  secrets: Secrets | undefined;
  /** Volumes of the box that are in memory or folders of its page. */
  volumes: readonly VolumeSource[] | undefined;
}
