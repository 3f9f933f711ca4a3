import type { LaunchOptions, VolumeSource } from "./backend.js";
import { invalid } from "./errors.js";
import { shown } from "./validate.js";

/**
 * Splits the volumes among a caller's options into what describes the box, and what is in memory or a folder of the page, and not part of that. What is no volume at all is left as it is, for the check of
 * the description.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when a source is none
 */
export function splitVolumes(volumes: unknown): { specs: unknown; sources: VolumeSource[] } {
  if (!Array.isArray(volumes)) return { specs: volumes, sources: [] };
  const sources: VolumeSource[] = [];
  const specs = volumes.map((volume: unknown, index) => {
    const { source, guestPath } = (volume ?? {}) as Partial<VolumeSource>;
    if (source === undefined) return volume;
    if (!isSource(source)) throw notASource(source, index);
    sources.push({ source, guestPath: guestPath as string });
    return { ...(volume as object), source: source.kind === "memory" ? "memory" : "folder" };
  });
  return { specs, sources };
}

/** Checks the volumes among the options of a start. @throws {BoxRunError} VALIDATION_ERROR when one of them is none */
export function requireSources<T extends LaunchOptions>(options: T): T {
  const { volumes } = options;
  if (volumes === undefined) return options;
  if (!Array.isArray(volumes)) throw invalid(`volumes must be an array, got ${shown(volumes)}`);
  for (const [index, volume] of volumes.entries()) {
    const { source, guestPath } = (volume ?? {}) as Partial<VolumeSource>;
    if (!isSource(source)) throw notASource(source, index);
    if (typeof guestPath !== "string")
      throw invalid(`volumes[${index}].guestPath must be a string, got ${shown(guestPath)}`);
  }
  return options;
}

function isSource(value: unknown): value is VolumeSource["source"] {
  const { kind } = (value ?? {}) as { kind?: unknown };
  return typeof value === "object" && (kind === "memory" || kind === "directory");
}

function notASource(value: unknown, index: number): Error {
  const { kind } = (value ?? {}) as { kind?: unknown };
  const got = kind === "file" ? "that of a file" : shown(value);
  return invalid(
    `volumes[${index}].source must be a volume in memory or a directory handle, got ${got}`,
    'memoryVolume() of "boxrun/local" makes a volume in memory; a directory of the host is a hostPath',
  );
}
