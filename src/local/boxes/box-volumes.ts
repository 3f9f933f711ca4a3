import type { VolumeSpec } from "../../backend/backend.js";
import { invalid, unsupported } from "../../backend/errors.js";
import { shown } from "../../backend/validate.js";
import { latin1 } from "../../util/byte-reader.js";
import type { Host } from "../host/host.js";
import type { VolumeConfig } from "../machine/messages.js";
import { MAX_PATH, MAX_VOLUMES } from "../protocol/frame-types.js";

/** Directories of a box that are the kernel's, or in memory. */
const RESERVED = ["/proc", "/sys", "/dev", "/run"];

/** Directories of the host that boxes may have: false for none, undefined for any. */
export type VolumeBounds = false | { within: readonly string[] } | undefined;

/** A volume as the machine and the guest get it: the number of one is its place in the list. */
export type VolumeMount = VolumeConfig & { guestPath: string };

/**
 * Returns the volumes of a box in the order in which the guest mounts them: one that lies in another comes after it.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when a path in the box cannot be one, two are the same, or there are too many
 */
export function volumeMounts(volumes: readonly VolumeSpec[] | null, bounds: VolumeBounds): VolumeMount[] {
  const list = volumes ?? [];
  if (list.length > MAX_VOLUMES)
    throw invalid(
      `volumes must be at most ${MAX_VOLUMES}, got ${list.length}`,
      "share a directory above them",
    );
  const mounts = list.map(
    ({ guestPath, readonly = false, ...volume }, index): VolumeMount => ({
      ...volume,
      guestPath: pathInBox(guestPath, `volumes[${index}].guestPath`),
      readonly,
      ...(bounds && "hostPath" in volume && { within: bounds.within }),
    }),
  );
  const seen = new Set<string>();
  for (const [index, { guestPath }] of mounts.entries()) {
    if (seen.has(guestPath))
      throw invalid(`volumes[${index}].guestPath is that of another volume: ${JSON.stringify(guestPath)}`);
    seen.add(guestPath);
  }
  return mounts.sort((a, b) => depthOf(a.guestPath) - depthOf(b.guestPath));
}

/** Returns the paths of volumes in the box, a character for each byte. */
export function placesOf(mounts: readonly VolumeMount[]): string[] {
  return mounts.map(({ guestPath }) => latin1(new TextEncoder().encode(guestPath)));
}

/** Returns the reason why boxes cannot have volumes, not even such in memory; undefined if they can. */
export function noVolumes(bounds: VolumeBounds): string | undefined {
  return bounds === false
    ? "boxes get no directories here; start boxrun serve with --allow-volumes DIR"
    : undefined;
}

/** Checks that the directories of volumes are there. @throws {BoxRunError} VALIDATION_ERROR when one cannot be mounted; UNSUPPORTED where none can */
export async function requireDirectories(
  host: Host,
  mounts: readonly VolumeMount[],
  bounds: VolumeBounds,
): Promise<void> {
  if (mounts.length === 0) return;
  const { volumes } = host;
  if (bounds === false) throw unsupported(`volumes: ${noVolumes(bounds)}`);
  for (const mount of mounts) {
    if (!("hostPath" in mount)) continue;
    if (typeof volumes === "string") throw unsupported(`volumes: ${volumes}`);
    await volumes(mount);
  }
}

/** Returns a path in a box without what means nothing. @throws {BoxRunError} VALIDATION_ERROR when it cannot be that of a volume */
export function pathInBox(path: string, name: string): string {
  const steps = path.split("/").filter((step) => step !== "" && step !== ".");
  if (!path.startsWith("/") || steps.length === 0 || steps.includes(".."))
    throw invalid(
      `${name} must be an absolute path in the box without "..", and not "/", got ${JSON.stringify(path)}`,
    );
  const clean = `/${steps.join("/")}`;
  if (new TextEncoder().encode(clean).byteLength > MAX_PATH || clean.includes("\0"))
    throw invalid(`${name} must be a path of at most ${MAX_PATH} bytes, got ${shown(path)}`);
  const reserved = RESERVED.find((above) => clean === above || clean.startsWith(`${above}/`));
  if (reserved) throw invalid(`${name} must not be in ${reserved}, got ${JSON.stringify(path)}`);
  return clean;
}

function depthOf(path: string): number {
  return path.split("/").length;
}
