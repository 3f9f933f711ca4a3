import type { BoxInfo, BoxSpec, Capabilities, Secrets } from "../../backend/backend.js";
import { requireCapability } from "../../backend/capabilities.js";
import { BoxRunError, invalid } from "../../backend/errors.js";
import { requireRules } from "../../network/rules.js";
import { parseSecrets } from "../../network/secrets.js";
import type { ChosenWayOut, Host } from "../host/host.js";
import { MAX_PATH } from "../protocol/frame-types.js";
import { noVolumes } from "./box-volumes.js";
import type { LocalOptions } from "./options.js";

/** Limits of the memory that a box may ask for: the least with which a machine boots, and the round number next to the most that one can have. */
const MIN_MEMORY_MB = 96;
const MAX_MEMORY_MB = 2048;
/**
 * Boxes may have this multiple of the device's memory together, unless the options say otherwise. A machine only takes the memory that its guest has touched:
 * an idle box of 1024 MB has some 60 to 150 MB, a busy one rarely more than a third.
 */
const SHARE_OF_DEVICE = 2;
/** Assumed memory of a device whose browser does not report it. */
const USUAL_DEVICE_MB = 8192;
const MAX_DISK_GB = 64;
/** Largest number of processors that a box may ask for. v86 has one, which it gets. */
export const MAX_CPU = 64;

/** Capabilities of the local backend, with the reasons for those that it lacks. */
const CAPABILITIES: Capabilities = {
  bytes: true,
  cursor: true,
  stdin: true,
  signal: true,
  network: true,
  secrets: true,
  volumes: true,
  attach: true,
  usage: true,
  persistence: true,
  pull: true,
  files: true,
  ports: true,
  watch: true,
  stderr: true,
};

/** Returns the capabilities of a backend with these options, on a host, whose boxes have this way out. */
export function capabilitiesOf(
  { volumes }: LocalOptions,
  host: Pick<Host, "encrypt" | "volumes">,
  wayOut: ChosenWayOut,
): Capabilities {
  const known = {
    ...CAPABILITIES,
    volumes: noVolumes(volumes) ?? (typeof host.volumes === "string" ? host.volumes : true),
  } satisfies Capabilities;
  if ("missing" in wayOut) return { ...known, network: wayOut.missing, secrets: wayOut.missing };
  if (host.encrypt || wayOut.name === "fetch") return known;
  return { ...known, secrets: "a page cannot encrypt the connections of a relay or a dialer; use a server" };
}

/** Checks the memory of a box. @throws {BoxRunError} VALIDATION_ERROR */
export function requireMemory(memoryMb: number): void {
  if (Number.isSafeInteger(memoryMb) && memoryMb >= MIN_MEMORY_MB && memoryMb <= MAX_MEMORY_MB) return;
  throw invalid(
    `memoryMb must be an integer from ${MIN_MEMORY_MB} to ${MAX_MEMORY_MB} for a local box, got ${memoryMb}`,
  );
}

/**
 * Returns the memory in MiB that boxes may have together: the option, else a multiple of the device's.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when the option is given under both of its names
 */
export function totalMemoryMb(
  { maxTotalMemoryMb, memoryMb }: LocalOptions,
  deviceMb: number | undefined,
): number {
  if (maxTotalMemoryMb !== undefined && memoryMb !== undefined)
    throw invalid("give local.maxTotalMemoryMb or its old name local.memoryMb, not both");
  return maxTotalMemoryMb ?? memoryMb ?? SHARE_OF_DEVICE * (deviceMb ?? USUAL_DEVICE_MB);
}

type Running = readonly Pick<BoxInfo, "id" | "name" | "memoryMb">[];

/** Returns the memory that running boxes leave free. */
export function freeMemoryMb(totalMb: number, running: Running): number {
  return totalMb - running.reduce((sum, { memoryMb }) => sum + memoryMb, 0);
}

/** Checks that a box fits beside the running ones. @throws {BoxRunError} RESOURCE_EXCEEDED */
export function requireRoom(askedMb: number, totalMb: number, running: Running): void {
  const freeMb = freeMemoryMb(totalMb, running);
  if (askedMb <= freeMb) return;
  const taken = running.map(({ id, name, memoryMb }) => `${name ?? id} uses ${memoryMb}`);
  throw new BoxRunError(
    "RESOURCE_EXCEEDED",
    `the box needs ${askedMb} MB, ${Math.max(0, freeMb)} of ${totalMb} MB available${taken.length > 0 ? `; ${taken.join(", ")}` : ""}`,
    {
      retryable: true,
      hint: "stop a box, lower memoryMb, or raise local.maxTotalMemoryMb",
    },
  );
}

/** Checks that a box can be created here. @throws {BoxRunError} VALIDATION_ERROR, UNSUPPORTED */
export function requireBuildable(
  spec: BoxSpec,
  secrets: Secrets | undefined,
  capabilities: Capabilities,
): void {
  requireMemory(spec.memoryMb);
  if (spec.diskSizeGb > MAX_DISK_GB) {
    throw invalid(`diskSizeGb must be from 1 to ${MAX_DISK_GB} for a local box, got ${spec.diskSizeGb}`);
  }
  const workdirBytes = new TextEncoder().encode(spec.workdir).byteLength;
  if (workdirBytes > MAX_PATH)
    throw invalid(`workdir must be at most ${MAX_PATH} bytes, got ${workdirBytes}`);
  requireRules(spec.network);
  if (spec.network !== false) requireCapability(capabilities, "network");
  if (secrets && parseSecrets(secrets, spec)) requireCapability(capabilities, "secrets");
  // Those in memory need nothing of the host.
  if (spec.volumes?.some((volume) => "hostPath" in volume)) requireCapability(capabilities, "volumes");
}
