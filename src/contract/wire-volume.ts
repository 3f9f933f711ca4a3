/** A volume in the bodies of the BoxRun API. */
import * as z from "zod/mini";
import type { BoxSpecInput } from "./schemas.js";
import type { VolumeSpec } from "./types.js";

type VolumeInput = NonNullable<BoxSpecInput["volumes"]>[number];

/** Schema of a volume. Reads it as {@link VolumeSpec}. */
export const wireVolume = z.pipe(
  z.object({
    host_path: z.string(),
    source: z.optional(z.string()),
    guest_path: z.string(),
    readonly: z.optional(z.boolean()),
  }),
  z.transform(
    ({ host_path, source, guest_path, readonly }): VolumeSpec => ({
      ...(source === "memory" || source === "folder" ? { source } : { hostPath: host_path }),
      guestPath: guest_path,
      ...(readonly !== undefined && { readonly }),
    }),
  ),
);

/** Writes a volume. One in memory, or a folder of a page, has no path, and says so beside an empty one, since every client reads a path. */
export function toWireVolume({ guestPath, readonly, ...volume }: VolumeInput): object {
  return {
    host_path: volume.hostPath ?? "",
    ...(volume.source && { source: volume.source }),
    guest_path: guestPath,
    readonly: readonly ?? false,
  };
}
