import type { BoxSpec, Capabilities } from "../backend.js";
import { invalid, unsupported } from "../errors.js";

/** The least that boots, and the most that v86 can address. */
const MIN_MEMORY_MB = 96;
export const MAX_MEMORY_MB = 2000;
const MAX_DISK_GB = 64;
/** v86 has one processor; a box may ask for more, and gets that one. */
export const MAX_CPU = 64;

/** What the local backend can do, and why it cannot what it cannot. */
export const CAPABILITIES: Capabilities = {
  bytes: true,
  cursor: true,
  stdin: true,
  signal: true,
  network: "the local backend has no network yet",
  volumes: "the local backend has no volumes yet; use upload",
  attach: true,
  usage: true,
  persistence: true,
  pull: true,
  files: true,
};

/** VALIDATION_ERROR. */
export function requireMemory(memoryMb: number): void {
  if (Number.isSafeInteger(memoryMb) && memoryMb >= MIN_MEMORY_MB && memoryMb <= MAX_MEMORY_MB) return;
  throw invalid(
    `memoryMb must be ${MIN_MEMORY_MB} to ${MAX_MEMORY_MB} for a local box, and ${memoryMb} is not`,
  );
}

/** Refuses a box that cannot be made here: VALIDATION_ERROR, UNSUPPORTED. */
export function requireBuildable(spec: BoxSpec): void {
  requireMemory(spec.memoryMb);
  if (spec.diskSizeGb > MAX_DISK_GB) {
    throw invalid(`diskSizeGb must be 1 to ${MAX_DISK_GB} for a local box, and ${spec.diskSizeGb} is not`);
  }
  if (spec.network) throw unsupported(`network: ${CAPABILITIES.network}`);
  if (spec.volumes?.length) throw unsupported(`volumes: ${CAPABILITIES.volumes}`);
}
