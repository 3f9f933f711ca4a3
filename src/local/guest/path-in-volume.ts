import type { GuestFrame } from "../protocol/frame-types.js";
import { violation } from "./violation.js";

const SLASH = 47;

/**
 * The error of a request about a path that leads into a volume. The guest has done nothing, so that it does not wait for the volume; the
 * host has to do it there. The paths are untrusted: absolute in the root of the 9p server, whose directories "0", "1" and so on are the
 * volumes, and otherwise whatever the guest says, with "..", "." and links in them. Null: that path is in no volume.
 */
export class PathInVolume extends Error {
  override readonly name = "PathInVolume";

  constructor(
    readonly path: Uint8Array | null,
    /** New path of a rename. */
    readonly second: Uint8Array | null = null,
  ) {
    super("the path is in a volume");
  }
}

/**
 * Returns the error that an answer stands for. Throws when the answer makes no sense.
 *
 * @param isRename whether the request has a second path.
 */
export function pathInVolume(
  { path, second }: GuestFrame & { type: "volume" },
  isRename = false,
): PathInVolume {
  const isInPlace = [path, second].every((each) => each.byteLength === 0 || each[0] === SLASH);
  const isComplete = isRename ? path.byteLength + second.byteLength > 0 : path.byteLength > 0;
  if (!isInPlace || !isComplete || (!isRename && second.byteLength > 0))
    throw violation("sent a path in a volume that makes no sense");
  return new PathInVolume(copied(path), copied(second));
}

/** Copies a path out of the chunk that it arrived in. */
function copied(path: Uint8Array): Uint8Array | null {
  return path.byteLength > 0 ? path.slice() : null;
}
