import type { SetupSpec } from "../guest/guest.js";
import type { GuestMachine } from "../host/guest-machine.js";
import { type BoxRecord, machineMemoryMb } from "../store/record.js";
import type { TreeOriginal } from "../volumes/tree-original.js";
import type { VolumeMount } from "./box-volumes.js";
import { passOnForeignChanges } from "./foreign-touches.js";

/** Memory that is reserved for the guest's kernel and agent, so that a command that fills the box meets its own limit first. */
const RESERVED_BYTES = 24 * 2 ** 20;
/** The same per byte of memory, for the kernel's own table of pages. */
const RESERVED_SHARE = 0.02;
/** Limit of the processes and threads in a box: enough for any build, and few enough that a fork bomb stays a nuisance. */
const PROCESS_LIMIT = 1024;
const ENTROPY_BYTES = 64;

/** Returns the name of a box's host: its own, or one of its id. */
export function hostnameOf({ id, spec }: BoxRecord): string {
  return spec.name ?? id.replace("_", "-");
}

/** Makes the box of a machine that runs, with its volumes. */
export async function setUp(
  machine: GuestMachine,
  record: BoxRecord,
  mounts: readonly VolumeMount[],
  originals: readonly (TreeOriginal | undefined)[],
): Promise<void> {
  await machine.endWarmUp();
  if (mounts.length > 0) await machine.handle.openVolumes(mounts, originals);
  await machine.guest.setup(setupSpec(record, mounts));
  if (mounts.length > 0) passOnForeignChanges(machine.guest, machine.handle).catch(() => {});
}

/** Returns what the agent has to know to set up a box. */
function setupSpec(record: BoxRecord, mounts: readonly VolumeMount[]): SetupSpec {
  const { spec } = record;
  const memoryBytes = machineMemoryMb(spec.memoryMb) * 2 ** 20;
  return {
    hostname: hostnameOf(record),
    entropy: crypto.getRandomValues(new Uint8Array(ENTROPY_BYTES)),
    diskBytes: spec.diskSizeGb * 2 ** 30,
    memoryLimitBytes: Math.floor(memoryBytes * (1 - RESERVED_SHARE)) - RESERVED_BYTES,
    processLimit: PROCESS_LIMIT,
    workdir: spec.workdir,
    volumes: mounts.map(({ guestPath: path, readonly }) => ({ path, readonly })),
  };
}
