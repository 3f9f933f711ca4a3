/** Exports of `boxrun/local` beside `createLocalBackend`, which each host has its own of. */
export { memoryVolume } from "./local/boxes/memory-volume.js";
export type {
  MemoryVolume,
  MemoryVolumeFiles,
  MemoryVolumeOptions,
  VolumeData,
  VolumeEntry,
  VolumeEvent,
  VolumeFile,
  VolumeFileMap,
} from "./local/boxes/memory-volume-types.js";
export type { ImagePackage, LocalOptions } from "./local/boxes/options.js";
export type { ByteConnection, Dialer, DialOptions, DialTarget } from "./network/dialer.js";
